-- Readings stand in two forms: young ones as rows (observation_hot), old ones packed (observation_segment). Whoever writes uses
-- observation_hot; whoever reads uses the view observation, which holds both, in the same columns as before.
alter table observation rename to observation_hot;
comment on table observation_hot is 'purpose: the datastream''s own. Readings of sensors, refused by the gate when they look like data about persons; partitions by day.';

-- One row holds the readings of one datastream of one week (Monday to Sunday, UTC), at most 1,024, in order of time and id.
-- Place n counts from 0. Lossless: instant = first_start + n * start_step + offset * unit_us, in microseconds; id = first_id + n * id_step +
-- offset; phenomenon_end, result_time and arrived are offsets from the reading's own start. Each list of offsets stands in the
-- narrowest integer that holds it (…2, …4 or …8), and is null when all offsets are 0 (starts, ids) or when all are null.
-- A number is q / number_divisor where that gives back every double of the segment (IEEE 754 division is correctly rounded), else
-- number_floats has them as they are.
create table observation_segment (
  datastream_id  bigint not null,
  first_start    timestamptz not null,
  last_start     timestamptz not null,
  first_id       bigint not null,
  id_low         bigint not null,
  id_high        bigint not null,
  arrived_low    timestamptz not null,
  arrived_high   timestamptz not null,
  start_step     bigint not null,
  id_step        bigint not null,
  number_divisor double precision,
  rows           integer not null,
  unit_us        integer not null,
  start2         smallint[],
  start4         integer[],
  start8         bigint[],
  id2            smallint[],
  id4            integer[],
  id8            bigint[],
  end2           smallint[],
  end4           integer[],
  end8           bigint[],
  result_time2   smallint[],
  result_time4   integer[],
  result_time8   bigint[],
  arrived2       smallint[],
  arrived4       integer[],
  arrived8       bigint[],
  number2        smallint[],
  number4        integer[],
  number8        bigint[],
  number_floats  double precision[],
  texts          text[],
  extras         jsonb[],
  valids         boolean[],
  primary key (datastream_id, first_start, first_id)
);
create index observation_segment_ids on observation_segment using brin (id_low, id_high) with (pages_per_range = 8, autosummarize = on);
create index observation_segment_arrived on observation_segment using brin (arrived_low, arrived_high) with (pages_per_range = 8, autosummarize = on);
create index observation_segment_times on observation_segment using brin (first_start, last_start) with (pages_per_range = 8, autosummarize = on);
comment on table observation_segment is 'purpose: the datastream''s own. Old readings, packed without loss; the view observation shows them as rows.';

-- The packed readings as rows. span_first and span_last bound the time of a reading, id_low and id_high its id, arrived_low and
-- arrived_high its arrival; all of them, and first_id, are those of its segment.
create view observation_sealed as
  select g.first_id + r.place * g.id_step + coalesce(r.id, 0) as id,
         g.datastream_id,
         g.first_start + (r.place * g.start_step + coalesce(r.start, 0) * g.unit_us) * interval '1 microsecond' as phenomenon_start,
         g.first_start + (r.place * g.start_step + (coalesce(r.start, 0) + r.ends) * g.unit_us) * interval '1 microsecond' as phenomenon_end,
         g.first_start + (r.place * g.start_step + (coalesce(r.start, 0) + r.result_time) * g.unit_us) * interval '1 microsecond' as result_time,
         g.first_start + (r.place * g.start_step + (coalesce(r.start, 0) + r.arrived) * g.unit_us) * interval '1 microsecond' as arrived,
         coalesce(r.quotient::double precision / g.number_divisor, r.number) as result_number,
         r.texts as result_json,
         r.extra,
         coalesce(r.valid, true) as valid,
         g.first_start as span_first, g.last_start as span_last, g.id_low, g.id_high, g.arrived_low, g.arrived_high, g.first_id
    from observation_segment g
   cross join lateral rows from (
         generate_series(0::bigint, g.rows - 1),
         unnest(coalesce(g.id2::bigint[], g.id4::bigint[], g.id8)),
         unnest(coalesce(g.start2::bigint[], g.start4::bigint[], g.start8)),
         unnest(coalesce(g.end2::bigint[], g.end4::bigint[], g.end8)),
         unnest(coalesce(g.result_time2::bigint[], g.result_time4::bigint[], g.result_time8)),
         unnest(coalesce(g.arrived2::bigint[], g.arrived4::bigint[], g.arrived8)),
         unnest(coalesce(g.number2::bigint[], g.number4::bigint[], g.number8)),
         unnest(g.number_floats), unnest(g.texts), unnest(g.extras), unnest(g.valids)
       ) as r (place, id, start, ends, result_time, arrived, quotient, number, texts, extra, valid);

-- All readings. The bounds of a row are its own time, id and arrival; a condition on one of them that is repeated on the bounds
-- leaves whole segments out.
create view observation as
  select id, datastream_id, phenomenon_start, phenomenon_end, result_time, arrived, result_number, result_json, extra, valid,
         phenomenon_start as span_first, phenomenon_start as span_last, id as id_low, id as id_high, arrived as arrived_low, arrived as arrived_high
    from observation_hot
  union all
  select id, datastream_id, phenomenon_start, phenomenon_end, result_time, arrived, result_number, result_json, extra, valid,
         span_first, span_last, id_low, id_high, arrived_low, arrived_high
    from observation_sealed;

-- What was sealed: one row a day that holds packed readings. The hash is that of the day's bytes as GET /api/history/days/DAY.csv
-- gives them; log_index is the leaf of the transparency log that says so.
create table observation_sealed_day (
  day        date primary key,
  rows       bigint not null,
  bytes      bigint not null,
  sha256     text not null,
  sealed_at  timestamptz not null,
  -- readings of the day were changed or deleted after it was sealed; it is sealed again with a new hash
  changed    boolean not null default false,
  log_index  bigint
);
comment on table observation_sealed_day is 'purpose: city-operations. Which days are sealed, with the hash that stands in the transparency log.';
