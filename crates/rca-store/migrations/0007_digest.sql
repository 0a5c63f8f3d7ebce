-- A channel that is told once a day what happened, instead of each thing.
ALTER TABLE channel ADD COLUMN digest BIGINT NOT NULL DEFAULT 0;
