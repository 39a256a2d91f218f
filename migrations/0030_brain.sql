-- Every distinct rule document keeps its version for ever, so that an old warning can be read beside the rule that raised it.
create table rule_version (
  rule_id   text not null,
  version   integer not null,
  document  text not null,
  loaded_at timestamptz not null,
  loaded_by text not null,
  primary key (rule_id, version)
);
comment on table rule_version is 'purpose: city-operations. Rule documents of the brain, one row a version; the owner of a rule is an office.';

create table warning (
  id            text primary key,
  rule_id       text not null,
  rule_version  integer not null,
  title         text not null,
  severity      text not null,
  state         text not null,
  place_id      bigint not null,
  place_name    text not null,
  place_kind    text not null,
  lon           double precision not null,
  lat           double precision not null,
  datastream_id bigint not null,
  playbook      text,
  purpose       text not null,
  since         timestamptz not null,
  raised_at     timestamptz not null,
  cleared_at    timestamptz,
  explanation   jsonb not null,
  foreign key (rule_id, rule_version) references rule_version
);
create unique index warning_standing on warning (rule_id, place_id) where cleared_at is null;
create index warning_raised on warning (raised_at);
create index warning_cleared on warning (cleared_at) where cleared_at is not null;
comment on table warning is 'purpose: the rule''s own (column purpose). What rules found, at places, never about persons.';

create table warning_state (
  seq        bigint generated always as identity primary key,
  warning_id text not null references warning on delete cascade,
  at         timestamptz not null,
  state      text not null
);
create index warning_state_warning on warning_state (warning_id, at);
comment on table warning_state is 'purpose: the warning''s own. Each state that a warning was in, for looking back at a past second.';
