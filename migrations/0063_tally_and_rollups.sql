-- One row for each transaction that adds, changes or removes readings, written in that same transaction. It is the tally ($count of
-- all readings), the work list of the roll-ups, and what other processes read to hear of new readings.
create table observation_batch (
  seq         bigint generated always as identity primary key,
  writer      text not null,
  at          timestamptz not null default now(),
  -- readings added; below 0 when they were removed
  rows        bigint not null,
  -- ids of the added readings lie in here; null when none was added
  first_id    bigint,
  last_id     bigint,
  -- hours of the phenomena, counted from 1970; null when there are more than 64, then all from first_hour to last_hour count
  hours       integer[],
  first_hour  integer not null,
  last_hour   integer not null,
  -- datastreams of changed and removed readings; null for added ones, whose rows tell
  streams     bigint[],
  rolled      boolean not null default false
);
comment on table observation_batch is 'purpose: city-operations. Which transactions wrote readings, for the tally and the roll-ups; no content of readings.';

-- The sum of the batches that were folded, and the hour up to which the roll-ups are made (exclusive, counted from 1970).
create table observation_tally (
  only_row     boolean primary key default true check (only_row),
  rows         bigint not null,
  rolled_until integer not null
);
insert into observation_tally (rows, rolled_until) select count(*), coalesce(floor(extract(epoch from min(phenomenon_start)) / 3600)::integer, floor(extract(epoch from now()) / 3600)::integer) from observation_hot where phenomenon_start between '1970-01-02' and now();
update observation_tally set rows = (select count(*) from observation_hot);
comment on table observation_tally is 'purpose: city-operations. How many readings there are, and how far the roll-ups are.';

-- Aggregates of the valid numbers. A bucket that has no row here is computed from the readings; so is one that a batch that is not
-- rolled yet may touch. Buckets with few readings never get a row.
create table observation_hour (
  datastream_id bigint not null,
  hour          integer not null,
  n             integer not null,
  sum           double precision not null,
  min           double precision not null,
  max           double precision not null,
  first         double precision not null,
  last          double precision not null,
  primary key (datastream_id, hour)
);
comment on table observation_hour is 'purpose: the datastream''s own. Hourly aggregates of readings; hours counted from 1970 in UTC.';

create table observation_minute (
  datastream_id bigint not null,
  minute        integer not null,
  n             integer not null,
  sum           double precision not null,
  min           double precision not null,
  max           double precision not null,
  first         double precision not null,
  last          double precision not null,
  primary key (datastream_id, minute)
);
comment on table observation_minute is 'purpose: the datastream''s own. Aggregates by minute of fast datastreams; minutes counted from 1970 in UTC.';
