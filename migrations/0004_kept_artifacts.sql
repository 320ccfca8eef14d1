-- The second of the chain's time before which it is not asked whether the sample is closed, and its artifact needed no more.
ALTER TABLE jobs ADD COLUMN kept_until INTEGER NOT NULL DEFAULT 0;

CREATE INDEX jobs_kept ON jobs (kept_until) WHERE evidence IS NOT NULL;
