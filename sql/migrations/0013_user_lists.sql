-- Lists of accounts for administrators. They run by id, newest first, which the primary key serves;
-- a state that few accounts are in, and services among a million people, need indexes of their own.
-- Who searches by the beginning of an address gets a list by address: in the order of its bytes,
-- because no other order lets a beginning be a range.

CREATE INDEX accounts_state_idx ON accounts (state, id);
CREATE INDEX accounts_kind_idx ON accounts (kind, id) WHERE kind <> 'person';
CREATE INDEX accounts_email_prefix_idx ON accounts (email_canonical COLLATE "C");
