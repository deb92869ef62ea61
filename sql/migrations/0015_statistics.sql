-- Numbers by the hour, counted when the hour is over, so that nobody who asks for a month reads a
-- month of sign-ins. `sign-ups`, `sign-ins`, `failed:<outcome>`, and `active-sessions` for those
-- alive at the end of the hour. Counted again while rows of an hour may still come late.

CREATE TABLE statistics_hours (
    hour       timestamptz NOT NULL,
    measure    text        NOT NULL,
    value      bigint      NOT NULL,
    counted_at timestamptz NOT NULL,
    CONSTRAINT statistics_hours_pkey PRIMARY KEY (hour, measure),
    CONSTRAINT statistics_hours_whole CHECK (date_trunc('hour', hour, 'UTC') = hour),
    CONSTRAINT statistics_hours_value_check CHECK (value >= 0)
);
