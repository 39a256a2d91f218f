-- Credentials of devices, each bound to the Datastreams that it may write into.
create table device (
  id              text primary key,
  name            text not null,
  thing_id        bigint references thing on delete set null,
  purpose         text not null,
  token_id        text unique,
  state           text not null check (state in ('active', 'quarantined', 'revoked')),
  state_reason    text,
  state_at        timestamptz not null,
  created_at      timestamptz not null,
  created_by      text not null,
  last_seen_at    timestamptz,
  taken           bigint not null default 0
);
create index device_thing on device (thing_id);
comment on table device is 'purpose: city-operations. Devices with a credential of their own: what they are bound to and whether they may send; created_by is a pseudonym.';

create table device_stream (
  device_id     text not null references device on delete cascade,
  datastream_id bigint not null references datastream on delete cascade,
  primary key (device_id, datastream_id)
);
create index device_stream_datastream on device_stream (datastream_id);
comment on table device_stream is 'purpose: city-operations. The Datastreams that a device may write into.';

create table device_refusal (
  device_id text not null references device on delete cascade,
  code      text not null,
  count     bigint not null,
  last_at   timestamptz not null,
  primary key (device_id, code)
);
comment on table device_refusal is 'purpose: city-operations. How often a device was refused, by code; never what it sent.';
