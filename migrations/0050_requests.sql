-- Service requests (Open311 GeoReport v2). Who filed one stands nowhere here: contact data is sealed under the key of the case.
create table request (
  id                 text primary key,
  seq                bigint generated always as identity unique,
  service_code       text not null,
  state              text not null check (state in ('received', 'assigned', 'in_progress', 'done', 'declined')),
  language           text not null,
  source             text not null check (source in ('portal', 'georeport')),
  description        text not null,
  attributes         jsonb not null,
  address            text not null,
  address_id         text,
  lon                double precision not null,
  lat                double precision not null,
  -- what the public may see; the texts stay null until somebody has read and released them
  listed             boolean not null,
  published          boolean not null default false,
  public_description text,
  public_address     text,
  public_lon         double precision not null,
  public_lat         double precision not null,
  outcome            text check (outcome in ('fixed', 'made_safe', 'no_fault_found', 'not_ours', 'duplicate', 'false_alarm')),
  sentence           text,
  filed_at           timestamptz not null,
  updated_at         timestamptz not null,
  expected_at        timestamptz,
  closed_at          timestamptz,
  contact_fields     text[] not null default '{}',
  incident_id        text,
  incident_number    integer,
  -- bus position of the last incident event that was applied, so that a repeated event changes nothing
  applied_seq        bigint not null default 0,
  idempotency_hash   text unique,
  fingerprint        text,
  constraint closed_with_outcome_and_sentence check (
    (state in ('done', 'declined')) = (closed_at is not null)
    and (closed_at is null) = (outcome is null)
    and (closed_at is null) = (sentence is null)
    and (sentence is null or length(btrim(sentence)) >= 8)
  )
);
create index request_filed on request (filed_at, seq);
create index request_updated on request (updated_at);
create index request_state on request (state, seq);
create index request_service on request (service_code, seq);
create index request_unreleased on request (seq) where not published;
create index request_open_place on request (public_lat, public_lon) where closed_at is null;
create index request_incident on request (incident_id) where incident_id is not null;
comment on table request is 'purpose: service-requests. What residents report about places and things; no contact data, that is sealed under the key of the case.';

create table request_note (
  request_id text not null references request on delete cascade,
  seq        integer not null,
  at         timestamptz not null,
  state      text not null,
  kind       text not null check (kind in ('filed', 'progress', 'closed', 'reopened_by_city', 'reopened_by_resident')),
  outcome    text,
  sentence   text,
  primary key (request_id, seq)
);
comment on table request_note is 'purpose: service-requests. The history of a request as the resident reads it.';

create table request_token (
  token_hash text primary key,
  request_id text not null references request on delete cascade,
  made_at    timestamptz not null
);
create index request_token_request on request_token (request_id);
comment on table request_token is 'purpose: service-requests. SHA-256 of the secret follow-up links; the secrets themselves are not kept.';

create table catalogue_version (
  hash  text primary key,
  since timestamptz not null
);
comment on table catalogue_version is 'purpose: service-requests. Since when each version of the service catalogue was served, for the changeset of GeoReport.';
