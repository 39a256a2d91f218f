-- What the gate refused, as sums; never what it was.
create table gate_refusal (
  hour   timestamptz not null,
  stream bigint not null,
  rule   text not null,
  count  bigint not null,
  bytes  bigint not null,
  primary key (hour, stream, rule)
);
comment on table gate_refusal is 'purpose: city-operations. Readings that the gate refused, by hour, stream (0 for none) and rule: how many and how large, never the content.';

-- The hours whose sums stand in the transparency log.
create table gate_refusal_hour (
  hour timestamptz primary key,
  leaf bigint not null
);
comment on table gate_refusal_hour is 'purpose: city-operations. The leaf of the transparency log that commits to the refusals of an hour.';
