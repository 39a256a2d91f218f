-- The outbox that is also the bus: one row an event, in the order of their commits (the publisher holds a lock).
create table event (
  seq     bigint generated always as identity primary key,
  at      timestamptz not null,
  topic   text not null,
  key     text not null,
  payload jsonb not null
);
create index event_topic_seq on event (topic, seq);
comment on table event is 'purpose: city-operations. Domain events for consoles and between modules; never carries a resident''s contact data.';

create table bus_cursor (
  consumer text primary key,
  seq      bigint not null
);
comment on table bus_cursor is 'purpose: city-operations. How far each durable consumer has read the outbox.';
