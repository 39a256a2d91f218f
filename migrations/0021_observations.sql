-- One row a reading; partitions by day of the phenomenon are made by the store ahead of time.
-- A plain number stands in result_number alone; every other result stands in result_json exactly as sent.
create sequence observation_id as bigint;
create table observation (
  id               bigint not null,
  datastream_id    bigint not null,
  phenomenon_start timestamptz not null,
  phenomenon_end   timestamptz,
  result_time      timestamptz,
  arrived          timestamptz not null,
  result_number    double precision,
  result_json      text,
  -- resultQuality, validTime, parameters and FeatureOfInterest when they were sent; rare, so kept together
  extra            jsonb,
  valid            boolean not null
) partition by range (phenomenon_start);
create index observation_stream_time on observation (datastream_id, phenomenon_start);
create index observation_id_range on observation using brin (id) with (pages_per_range = 32);
create index observation_time_range on observation using brin (phenomenon_start) with (pages_per_range = 32);
create table observation_other partition of observation default;
comment on table observation is 'purpose: the datastream''s own. Readings of sensors, refused by the gate when they look like data about persons.';
