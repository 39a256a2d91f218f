-- What an observation was before it was corrected; written in the transaction of the correction.
create table observation_correction (
  id             bigint generated always as identity primary key,
  observation_id bigint not null,
  datastream_id  bigint not null,
  at             timestamptz not null,
  pseudonym      text not null,
  phenomenon_start timestamptz not null,
  phenomenon_end timestamptz,
  result_time    timestamptz,
  result_number  double precision,
  result_json    text,
  extra          jsonb,
  valid          boolean not null
);
create index observation_correction_observation on observation_correction (observation_id, id);
create index observation_correction_stream on observation_correction (datastream_id, phenomenon_start);
comment on table observation_correction is 'purpose: the datastream''s own. Former values of corrected readings, by whose pseudonym they were corrected and when.';
