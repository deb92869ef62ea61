-- More room on the pages of sessions. Sessions that were opened together lie on one page and are
-- refreshed together, a token's life later; while a snapshot that began before is still open none
-- of the replaced versions can be pruned. With 80 such a page had room for about seven versions of
-- its thirty rows, so the rest of a wave moved to other pages and was not heap-only. With less than
-- half of a page filled, every row of it can be replaced once without any pruning.

COMMENT ON TABLE sessions IS
    'fillfactor = 45, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000';

DO $$
DECLARE
    piece regclass;
BEGIN
    FOR piece IN SELECT inhrelid FROM pg_inherits WHERE inhparent = 'sessions'::regclass LOOP
        EXECUTE format('ALTER TABLE %s SET (fillfactor = 45)', piece);
    END LOOP;
END $$;
