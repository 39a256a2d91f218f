-- Sealed looks that were extended: two people each time, and a leaf of its own.
create table look_extension (
  leaf_index bigint primary key,
  of_index   bigint not null,
  at         timestamptz not null
);
comment on table look_extension is 'purpose: service-requests. When which sealed look was extended; says nothing of the case.';
