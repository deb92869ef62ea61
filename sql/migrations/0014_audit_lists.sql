-- What administrators ask of the audit log: all that one person did, all of one kind.
-- Each list ends with the id, which starts with the time, so that a page is read from
-- an index and nothing else.
CREATE INDEX audit_events_actor_idx ON audit_events (actor_id, id);
CREATE INDEX audit_events_action_idx ON audit_events (action, id);
