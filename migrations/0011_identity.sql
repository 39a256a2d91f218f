create table person (
  id            text primary key,
  name          text not null,
  name_key      text not null unique,
  positions     text[] not null,
  pseudonym     text not null unique,
  password_hash text,
  created_at    timestamptz not null,
  disabled_at   timestamptz
);
comment on table person is 'purpose: city-operations. Staff accounts; name_key is the name as it is compared at sign-in.';

create table passkey (
  credential_id text primary key,
  person_id     text not null references person on delete cascade,
  relying_party text not null,
  public_key    bytea not null,
  counter       bigint not null,
  transports    text[] not null,
  created_at    timestamptz not null,
  used_at       timestamptz
);
create index passkey_person on passkey (person_id);
comment on table passkey is 'purpose: city-operations. Public keys of staff passkeys (WebAuthn level 3).';

create table session (
  id          text primary key,
  secret_hash bytea not null unique,
  person_id   text not null references person on delete cascade,
  agent       text not null,
  created_at  timestamptz not null,
  seen_at     timestamptz not null,
  expires_at  timestamptz not null
);
create index session_person on session (person_id);
comment on table session is 'purpose: city-operations. Signed-in browsers of staff; the cookie''s secret is kept only as its SHA-256.';

create table invitation (
  code_hash  bytea primary key,
  name       text not null,
  positions  text[] not null,
  created_at timestamptz not null,
  expires_at timestamptz not null,
  used_at    timestamptz
);
comment on table invitation is 'purpose: city-operations. One-time links that make a staff account; the code is kept only as its SHA-256.';

create table revoked_token (
  id         text primary key,
  revoked_at timestamptz not null
);
comment on table revoked_token is 'purpose: city-operations. Bearer tokens that are no longer taken.';
