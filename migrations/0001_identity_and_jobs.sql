-- Whose store this is; written at the first start and never changed.
CREATE TABLE identity (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;

-- The last block whose events are in `jobs`; at most one row.
CREATE TABLE cursor (
    id     INTEGER PRIMARY KEY CHECK (id = 1),
    height INTEGER NOT NULL
) STRICT;

-- One row for each seat of this node on a jury.
CREATE TABLE jobs (
    id          INTEGER PRIMARY KEY,
    batch       INTEGER NOT NULL,
    draw        INTEGER NOT NULL,
    -- Window of the draw.
    draw_window INTEGER NOT NULL,
    -- The page of this node's verdicts on that window's draws that the contract takes it on.
    seat_page   INTEGER NOT NULL,
    -- End of the window after it, in seconds since 1970: commitments are taken until then.
    deadline    INTEGER NOT NULL,
    state       TEXT NOT NULL DEFAULT 'sampled' CHECK (state IN
        ('sampled', 'fetched', 'recomputed', 'judged', 'submitted', 'confirmed', 'expired', 'abstained')),
    -- Why it is abstained or expired.
    reason      TEXT,
    -- Not to be taken before, in milliseconds since 1970: somebody works on it, or it waits for another attempt.
    lease_until INTEGER NOT NULL DEFAULT 0,
    -- Attempts of the step that the state waits for.
    attempts    INTEGER NOT NULL DEFAULT 0,
    -- JSON: what the chain says about the inference.
    subject     TEXT,
    -- JSON: artifact, path and voucher as the executor gave them; empty again once confirmed.
    evidence    BLOB,
    -- JSON: what the recomputation showed.
    measurement TEXT,
    -- JSON: the verdict, its report, and the page once it is on it. Written once.
    outcome     TEXT,
    report      TEXT,
    page        INTEGER,
    UNIQUE (batch, draw)
) STRICT;

CREATE INDEX jobs_by_state ON jobs (state, deadline);
CREATE INDEX jobs_by_window ON jobs (draw_window);

-- One row for each page of verdicts; its verdicts are fixed when it is made.
CREATE TABLE pages (
    draw_window INTEGER NOT NULL,
    page        INTEGER NOT NULL,
    -- JSON: the verdicts.
    verdicts    TEXT NOT NULL,
    state       TEXT NOT NULL DEFAULT 'assembled' CHECK (state IN
        ('assembled', 'committing', 'committed', 'revealing', 'revealed', 'expired')),
    -- The transaction that is under way, stored before it is broadcast.
    tx_hash     TEXT,
    tx_timeout  INTEGER,
    PRIMARY KEY (draw_window, page)
) STRICT;
