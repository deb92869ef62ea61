-- The rows of the history that were there before the step before.

ALTER TABLE login_history VALIDATE CONSTRAINT login_history_outcome_check;
