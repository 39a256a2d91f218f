create table resident_session (
  secret_hash  bytea primary key,
  account      bytea not null,
  service_mark bytea,
  created_at   timestamptz not null,
  seen_at      timestamptz not null,
  expires_at   timestamptz not null
);
create index resident_session_account on resident_session (account);
create index resident_session_mark on resident_session (service_mark) where service_mark is not null;
comment on table resident_session is 'purpose: service-requests. Residents who are signed in to their list of reports. The account is an HMAC of issuer and subject under keys/identity.key; there is no name, address or other claim.';

-- Which of the sign-in service's sessions a session came from, as an HMAC, so that a sign-out there ends it here.
alter table session add column service_mark bytea;
create index session_service_mark on session (service_mark) where service_mark is not null;

create table spent_logout_token (
  hash  bytea primary key,
  until timestamptz not null
);
create index spent_logout_token_until on spent_logout_token (until);
comment on table spent_logout_token is 'purpose: city-operations. Logout tokens of sign-in services that were used, as HMAC of their ids, until they would be too old anyway.';
