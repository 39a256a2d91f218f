-- Default features of observations that name none (18-088 §10.2.1): one feature a location, and what was the default before a
-- thing moved. The feature of such an observation is the first row of datastream_feature with until > arrived, else datastream.feature_id.
create table location_feature (
  location_id bigint primary key references location on delete cascade,
  feature_id  bigint not null references feature_of_interest on delete cascade
);
create index location_feature_feature on location_feature (feature_id);
comment on table location_feature is 'purpose: city-operations. The feature of interest that was made from a location.';

create table datastream_feature (
  datastream_id bigint not null references datastream on delete cascade,
  until         timestamptz not null,
  feature_id    bigint not null references feature_of_interest on delete cascade,
  primary key (datastream_id, until)
);
create index datastream_feature_feature on datastream_feature (feature_id);
comment on table datastream_feature is 'purpose: city-operations. Default features of datastreams before their thing moved.';

create index datastream_feature_default on datastream (feature_id);
create index observation_feature on observation (((extra ->> 'feature')::bigint)) where extra ? 'feature';
