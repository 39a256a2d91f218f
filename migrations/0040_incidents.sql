-- The record of an incident is its log: every picture, live or past, is the log up to a moment, replayed.
-- `incident` holds only what queries look for; it changes in the same transaction as the log grows.
create table incident (
  id         text primary key,
  number     integer not null unique,
  origin     text not null check (origin in ('warning', 'request', 'operator')),
  -- rule id or service code
  kind       text not null,
  -- Thing of the first warning; null for requests and for incidents opened by hand
  place_id   bigint,
  lon        double precision not null,
  lat        double precision not null,
  state      text not null check (state in ('new', 'acknowledged', 'in_progress', 'closed')),
  opened_at  timestamptz not null,
  updated_at timestamptz not null,
  closed_at  timestamptz,
  head_seq   integer not null
);
create index incident_open_kind on incident (kind) where state <> 'closed';
create index incident_open on incident (opened_at) where state <> 'closed';
create index incident_updated on incident (updated_at desc, number desc);
comment on table incident is 'purpose: city-operations. What the room works on; never who reported it.';

create table incident_log (
  incident_id     text not null references incident,
  seq             integer not null,
  at              timestamptz not null,
  kind            text not null,
  -- person and position; null when the system wrote it
  author          jsonb,
  text            text not null,
  -- what the kind needs to be replayed
  body            jsonb not null,
  -- the incident as every console saw it after this entry
  picture         jsonb not null,
  -- Idempotency-Key of the caller and the act as it was sent
  idempotency_key text,
  idempotency_act text,
  -- bus event that caused the entry: redelivery finds it and stops
  cause_seq       bigint,
  primary key (incident_id, seq)
);
create unique index incident_log_idempotency on incident_log ((author ->> 'id'), idempotency_key) where idempotency_key is not null;
create unique index incident_log_cause on incident_log (cause_seq) where cause_seq is not null;
create index incident_log_closed on incident_log (at) where kind = 'closed';
comment on table incident_log is 'purpose: city-operations. Append-only record of every incident, with the position and name of the person who acted.';

create function refuse_log_change() returns trigger language plpgsql as $$
begin
  raise exception 'the incident log is append-only' using errcode = 'insufficient_privilege';
end $$;
create trigger incident_log_append_only before update or delete on incident_log for each row execute function refuse_log_change();
create trigger incident_log_no_truncate before truncate on incident_log for each statement execute function refuse_log_change();

create table incident_member (
  kind        text not null check (kind in ('warning', 'request')),
  ref         text not null,
  incident_id text not null references incident,
  why         text not null,
  joined_at   timestamptz not null,
  primary key (kind, ref)
);
create index incident_member_incident on incident_member (incident_id);
comment on table incident_member is 'purpose: city-operations. Which warning and which request belongs to which incident, and why it joined.';
