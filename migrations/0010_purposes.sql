create table purpose_register (
  version  integer generated always as identity primary key,
  since    timestamptz not null,
  hash     text not null,
  document jsonb not null
);
comment on table purpose_register is 'purpose: city-operations. Every version of the register of purposes that was ever in force.';
