alter table person add column department text;
alter table invitation add column department text;
alter table passkey add column name text not null default '';

-- Sessions that began before second factors do not say how: their people sign in once more.
delete from session;
alter table session add column method text not null;
alter table session add column factors smallint not null check (factors in (1, 2));
alter table session add column proved_at timestamptz;

create table one_time_code (
  person_id     text primary key references person on delete cascade,
  secret_sealed bytea not null,
  made_at       timestamptz not null,
  confirmed_at  timestamptz,
  last_step     bigint not null default -1
);
comment on table one_time_code is 'purpose: city-operations. Secrets of staff''s one-time codes (RFC 6238), sealed under keys/identity.key; last_step is the newest time step that was used.';

create table recovery_code (
  person_id text not null references person on delete cascade,
  code_hash bytea not null,
  used_at   timestamptz,
  primary key (person_id, code_hash)
);
comment on table recovery_code is 'purpose: city-operations. Staff''s recovery codes, each good once, kept only as HMAC-SHA-256 under keys/identity.key.';

create table attempt (
  key_hash bytea primary key,
  count    integer not null,
  since    timestamptz not null
);
create index attempt_since on attempt (since);
comment on table attempt is 'purpose: city-operations. Failed attempts to sign in by account and by address, for 15 minutes; names and addresses are kept only as HMAC-SHA-256 under keys/identity.key.';
