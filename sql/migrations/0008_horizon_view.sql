-- The token horizon as a view, which the planner merges into the statement that asks. As a function
-- it was a query of its own: two thirds of what a read of the revocation log cost the server.

CREATE VIEW token_horizon AS
    SELECT COALESCE(max(lifetime_s), 86400) AS seconds
      FROM token_lifetimes
     WHERE asserted_at + make_interval(secs => lifetime_s + 600) > clock_timestamp();

CREATE OR REPLACE FUNCTION revocation_expiry() RETURNS timestamptz
LANGUAGE sql VOLATILE AS $$
    SELECT clock_timestamp() + make_interval(secs => (SELECT seconds FROM token_horizon) + 120)
$$;

-- Nodes of the version before, during an upgrade, still ask the function.
CREATE OR REPLACE FUNCTION token_horizon_s() RETURNS integer
LANGUAGE sql VOLATILE AS $$
    SELECT seconds FROM token_horizon
$$;
