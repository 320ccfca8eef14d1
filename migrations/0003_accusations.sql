-- One row for each proof of fraud that this node brings; the proof is fixed when it is found.
CREATE TABLE accusations (
    number   INTEGER PRIMARY KEY,
    -- What the accusation hashes of the proof: the same proof is brought once.
    digest   BLOB    NOT NULL UNIQUE CHECK (length(digest) = 32),
    executor TEXT    NOT NULL,
    epoch    INTEGER NOT NULL,
    -- JSON.
    proof    TEXT    NOT NULL,
    -- open → sent → open while there is something left to send, and at last proven or ended.
    state    TEXT    NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'sent', 'proven', 'ended')),
    -- Transactions that the contract refused.
    refusals INTEGER NOT NULL DEFAULT 0,
    -- Why it was refused or ended.
    reason   TEXT,
    -- The transaction that is under way, stored before it is broadcast.
    tx_hash    TEXT,
    tx_timeout INTEGER,
    CHECK ((state = 'sent') = (tx_hash IS NOT NULL AND tx_timeout IS NOT NULL))
) STRICT;

-- Whether it was looked for a proof in the artifact of a failed sample.
ALTER TABLE jobs ADD COLUMN accused INTEGER NOT NULL DEFAULT 0;

CREATE INDEX jobs_to_accuse ON jobs (id) WHERE accused = 0
    AND outcome IN ('"malformed"', '{"invalid":{"reason":"replay"}}', '{"invalid":{"reason":"request"}}');
