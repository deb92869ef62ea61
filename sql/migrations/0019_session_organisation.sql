-- Whoever signs in for an organisation that he may not act in is told so after his password
-- was found right, and it is in his history. The rows that are there are looked at in the
-- next step, without keeping anybody from signing in meanwhile.

ALTER TABLE login_history
    DROP CONSTRAINT login_history_outcome_check,
    ADD CONSTRAINT login_history_outcome_check CHECK (outcome IN (
        'signed-in', 'wrong-password', 'unconfirmed', 'disabled', 'password-change-required',
        'organisation-refused'
    )) NOT VALID;
