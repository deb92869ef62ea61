-- Whoever must replace his password and does not is told so, and it is in his history.

ALTER TABLE login_history
    DROP CONSTRAINT login_history_outcome_check,
    ADD CONSTRAINT login_history_outcome_check CHECK (outcome IN (
        'signed-in', 'wrong-password', 'unconfirmed', 'disabled', 'password-change-required'
    ));
