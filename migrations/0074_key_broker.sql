-- The resident's own way to the case: both keys once more, wrapped under what follows from the secret of their link.
alter table case_key
  add column owner_record_key bytea,
  add column owner_log_key    bytea,
  add constraint case_key_owner check ((owner_record_key is null) = (owner_log_key is null) and (destroyed_at is null or owner_record_key is null));
create index case_key_version on case_key (version) where destroyed_at is null;

create table root_key_version (
  version     integer primary key,
  fingerprint bytea not null
);
comment on table root_key_version is 'purpose: service-requests. Tells whether the broker holds the versions of the root key that wrapped the case keys; no key follows from it.';
insert into root_key_version select 1, fingerprint from root_key;

-- A look that the resident sees from a date on. It has no number among the looks of its case before.
create table sealed_look (
  commitment bytea primary key,
  case_id    text not null references case_key,
  sealed     bytea not null,
  until      timestamptz not null,
  from_index bigint not null,
  leaf_index bigint unique,
  revealed_by bytea,
  created_at timestamptz not null
);
create index sealed_look_case on sealed_look (case_id);
create index sealed_look_due on sealed_look (until);
comment on column sealed_look.revealed_by is 'Commitment of the look that tells the resident; counts only when that look is there.';
comment on table sealed_look is 'purpose: service-requests. Looks that a law keeps from the resident until a date, sealed under the case''s log key; only their leaf and their date are public.';

create table legal_hold (
  case_id   text primary key references case_key,
  reason    text not null,
  placed_by text not null,
  placed_at timestamptz not null
);
comment on table legal_hold is 'purpose: service-requests. Cases that must not be erased for now, why and by which pseudonym.';
