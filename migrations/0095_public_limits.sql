create table public_limit (
  key_hash bytea primary key,
  count    integer not null,
  until    timestamptz not null
);
create index public_limit_until on public_limit (until);
comment on table public_limit is 'purpose: city-operations. How often an address called a public door in the present minute, so that a restart does not forget it; doors and addresses only as HMAC-SHA-256 under keys/identity.key.';
