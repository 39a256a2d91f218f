-- One row a reading; partitions by day of the phenomenon are made by the store ahead of time.
-- A number whose text the double prints back stands in result_number alone. A number whose text it does not print back
-- (1.0, 1e3, -0, 12345678901234567890) stands in result_number as its nearest double and in result_json exactly as sent.
-- Every other result (null, "", false, lists, objects) stands in result_json only. So: result = coalesce(result_json, result_number).
-- One call of nextval reserves a block: the ids from its answer to its answer + 9,999 belong to the caller.
create sequence observation_id as bigint increment by 10000;
create table observation (
  id               bigint not null,
  datastream_id    bigint not null,
  phenomenon_start timestamptz not null,
  phenomenon_end   timestamptz,
  result_time      timestamptz,
  arrived          timestamptz not null,
  result_number    double precision,
  result_json      text,
  -- rare, so kept together: {"resultQuality": any, "validTime": "as sent", "parameters": {...}, "feature": id of the
  -- FeatureOfInterest}; each only when it was sent. Without "feature" the default feature of the datastream applies.
  extra            jsonb,
  valid            boolean not null
) partition by range (phenomenon_start);
create index observation_stream_time on observation (datastream_id, phenomenon_start);
create index observation_id_range on observation using brin (id) with (pages_per_range = 32, autosummarize = on);
create index observation_time_range on observation using brin (phenomenon_start) with (pages_per_range = 32, autosummarize = on);
create index observation_arrived_range on observation using brin (arrived) with (pages_per_range = 32, autosummarize = on);
create table observation_other partition of observation default;
comment on table observation is 'purpose: the datastream''s own. Readings of sensors, refused by the gate when they look like data about persons.';
