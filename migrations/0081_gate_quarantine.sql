-- Streams whose values behave like identifiers of passers-by; they are refused until somebody releases them.
create table gate_quarantine (
  stream       bigint primary key references datastream on delete cascade,
  rule         text not null,
  since        timestamptz not null,
  released_at  timestamptz,
  released_by  text,
  reason       text,
  leaf         bigint
);
comment on table gate_quarantine is 'purpose: city-operations. Datastreams that the gate has put into quarantine, by rule; released_by is a pseudonym.';
