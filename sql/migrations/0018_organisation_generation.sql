-- An organisation that is disabled, enabled or removed is one entry of the revocation log
-- (kind 7), however many members it has. `generation` grows with each such change, as
-- greatest(old + 1, microseconds of the database clock), and nodes compare it with that of
-- the entry: what they remember of an account tells as of which generation of each of its
-- organisations.
--
-- A node of the version before answers nobody while the log holds an entry of kind 7:
-- change the state of no organisation until the last of them is gone.

ALTER TABLE organisations ADD COLUMN generation bigint NOT NULL DEFAULT 0;
