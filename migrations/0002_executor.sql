-- What an executor answered, and the batches in which it commits to it. Digests and ids are raw bytes.

CREATE TABLE executor_batches (
    number         INTEGER PRIMARY KEY,
    model          BLOB    NOT NULL CHECK (length(model) = 32),
    root           BLOB    NOT NULL CHECK (length(root) = 32),
    -- JSON, as in CommitBatch.
    claims         TEXT    NOT NULL,
    -- built → sent → committed, sent → built when the transaction expired, either → rejected.
    state          TEXT    NOT NULL CHECK (state IN ('built', 'sent', 'committed', 'rejected')),
    tx_hash        TEXT,
    timeout_height INTEGER,
    -- The chain's id.
    batch          INTEGER UNIQUE,
    reason         TEXT,
    CHECK (state <> 'sent' OR (tx_hash IS NOT NULL AND timeout_height IS NOT NULL)),
    CHECK ((state = 'committed') = (batch IS NOT NULL)),
    CHECK ((state = 'rejected') = (reason IS NOT NULL))
) STRICT;

-- A second batch in flight would claim the same nonces.
CREATE UNIQUE INDEX executor_one_batch_in_flight ON executor_batches (state IN ('built', 'sent'))
    WHERE state IN ('built', 'sent');

-- One row an inference, ever: written before its receipt is signed, and only its place in a batch changes after.
CREATE TABLE executor_inferences (
    id          BLOB    PRIMARY KEY CHECK (length(id) = 32),
    session     INTEGER NOT NULL,
    nonce       INTEGER NOT NULL,
    -- The rest of the receipt.
    request     BLOB    NOT NULL CHECK (length(request) = 32),
    tokens      BLOB    NOT NULL CHECK (length(tokens) = 32),
    rows        BLOB    NOT NULL CHECK (length(rows) = 32),
    artifact    BLOB    NOT NULL,
    voucher     BLOB    NOT NULL,
    -- Unix seconds.
    answered_at INTEGER NOT NULL,
    batch       INTEGER REFERENCES executor_batches (number),
    -- Leaf number under the batch's root.
    leaf        INTEGER,
    -- Why it will never be committed.
    given_up    TEXT,
    UNIQUE (session, nonce),
    UNIQUE (batch, leaf),
    CHECK ((batch IS NULL) = (leaf IS NULL)),
    CHECK (batch IS NULL OR given_up IS NULL)
) STRICT;

CREATE INDEX executor_uncommitted ON executor_inferences (session, nonce) WHERE batch IS NULL AND given_up IS NULL;
