-- MultiDatastreams (18-088 §8.2.10) stand in table datastream: ids of one sequence, so an observation needs one datastream_id only.
-- multi is null for a plain Datastream, else {"units": [unit, …], "types": [URI of an observation type, …]}, one each element.
-- observed_property_id of a MultiDatastream is that of its first element.
alter table datastream add column multi jsonb;
alter table datastream alter column unit_of_measurement drop not null;
alter table datastream add constraint datastream_unit_or_units check ((multi is null) = (unit_of_measurement is not null));

-- tables and indexes share their names
alter index datastream_observed_property rename to datastream_first_observed_property;
create table datastream_observed_property (
  datastream_id        bigint not null references datastream on delete cascade,
  position             smallint not null,
  observed_property_id bigint not null references observed_property on delete cascade,
  primary key (datastream_id, position),
  unique (observed_property_id, datastream_id)
);
comment on table datastream_observed_property is 'purpose: city-operations. What each element of a stream''s results is about, in order; a plain Datastream has one row at position 0.';
insert into datastream_observed_property (datastream_id, position, observed_property_id) select id, 0, observed_property_id from datastream;

create function keep_observed_property() returns trigger language plpgsql as $$
begin
  insert into datastream_observed_property (datastream_id, position, observed_property_id) values (new.id, 0, new.observed_property_id)
    on conflict (datastream_id, position) do update set observed_property_id = excluded.observed_property_id;
  return null;
end $$;
create trigger datastream_observed_property_insert after insert on datastream for each row when (new.multi is null) execute function keep_observed_property();
create trigger datastream_observed_property_update after update of observed_property_id on datastream for each row when (new.multi is null and new.observed_property_id <> old.observed_property_id) execute function keep_observed_property();

-- What the sets Datastreams and MultiDatastreams of 18-088 are. Both are written through as well: PostgreSQL documentation,
-- CREATE VIEW, "Updatable Views".
create view plain_datastream as
  select id, name, description, observation_type, unit_of_measurement, observed_area, properties, purpose, thing_id, sensor_id, observed_property_id, feature_id
    from datastream where multi is null;
create view multi_datastream as
  select id, name, description, observation_type, multi, multi -> 'units' as units, multi -> 'types' as types, observed_area, properties, purpose, thing_id, sensor_id, observed_property_id, feature_id
    from datastream where multi is not null;
create index datastream_multi on datastream (id) where multi is not null;

-- Features that were made from Locations (18-088 §10.2.1), also after the Location has moved on or is gone: they go when no
-- observation is about them any more. Later readings at a Location are about its present one.
alter table location_feature drop constraint location_feature_pkey, drop constraint location_feature_location_id_fkey, alter column location_id drop not null;
alter table location_feature add column present boolean not null default true, add primary key (feature_id), add foreign key (location_id) references location on delete set null;
create unique index location_feature_present on location_feature (location_id) where present;
drop index location_feature_feature;
