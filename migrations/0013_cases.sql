create table root_key (
  only_row    boolean primary key default true check (only_row),
  fingerprint bytea not null
);
comment on table root_key is 'purpose: service-requests. A fingerprint that tells whether the key file beside this database is the one that wrapped the case keys.';

create table case_key (
  case_id      text primary key,
  version      integer not null default 1,
  record_key   bytea,
  log_key      bytea,
  created_at   timestamptz not null,
  destroyed_at timestamptz,
  check ((record_key is null) = (destroyed_at is not null) and (log_key is null) = (destroyed_at is not null))
);
comment on table case_key is 'purpose: service-requests. Two keys a case, wrapped under the root key: one for its records, one for its looks. Null once destroyed.';

create table sealed_record (
  case_id    text not null references case_key,
  record     text not null,
  version    integer not null,
  sealed     bytea not null,
  created_at timestamptz not null,
  primary key (case_id, record)
);
comment on table sealed_record is 'purpose: service-requests. Residents'' contact data, AES-256-GCM under the case''s record key.';

create table look (
  case_id    text not null references case_key,
  n          integer not null,
  commitment bytea not null unique,
  sealed     bytea not null,
  from_index bigint not null,
  leaf_index bigint unique,
  created_at timestamptz not null,
  primary key (case_id, n)
);
create index look_pending on look (from_index) where leaf_index is null;
comment on table look is 'purpose: service-requests. Who looked at a case and why, sealed under the case''s log key; leaf_index is null until the leaf is durable, and nothing is shown before.';
