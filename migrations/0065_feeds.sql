-- Feeds of city/feeds.yaml: what they have made, and how they fare.
create table feed_entity (
  feed                 text not null,
  kind                 text not null check (kind in ('place', 'series', 'property', 'sensor')),
  key                  text not null,
  thing_id             bigint references thing on delete cascade,
  datastream_id        bigint references datastream on delete cascade,
  observed_property_id bigint references observed_property on delete cascade,
  sensor_id            bigint references sensor on delete cascade,
  said                 text not null,
  said_where           text not null default '',
  primary key (feed, kind, key),
  check (num_nonnulls(thing_id, datastream_id, observed_property_id, sensor_id) = 1)
);
create index feed_entity_thing on feed_entity (thing_id) where thing_id is not null;
create index feed_entity_datastream on feed_entity (datastream_id) where datastream_id is not null;
create index feed_entity_observed_property on feed_entity (observed_property_id) where observed_property_id is not null;
create index feed_entity_sensor on feed_entity (sensor_id) where sensor_id is not null;
comment on table feed_entity is 'purpose: city-operations. Entities that feeds have made, by the key of their source; said and said_where are digests of what the source said last.';

create table feed (
  name            text primary key,
  paused          boolean not null default false,
  last_success_at timestamptz,
  taken           bigint not null default 0,
  duplicate       bigint not null default 0,
  error           jsonb
);
comment on table feed is 'purpose: city-operations. Health of feeds: when they last gave something, how much, and why the last attempt failed; never what they sent.';

create table feed_refusal (
  feed    text not null references feed on delete cascade,
  code    text not null,
  count   bigint not null,
  last_at timestamptz not null,
  place   text not null,
  primary key (feed, code)
);
comment on table feed_refusal is 'purpose: city-operations. How often something of a feed was refused, by code, and where in its document it stood last.';
