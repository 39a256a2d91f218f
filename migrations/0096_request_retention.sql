-- The purpose of a report, with its end and its retention, says when what the resident wrote is erased. The row stays for the figures.
alter table request
  -- null for rows of before: the next start takes it from the catalogue
  add column purpose   text,
  add column erased_at timestamptz;
create index request_kept on request (purpose, id) where erased_at is null;
comment on column request.purpose is 'Purpose that it was filed under.';
comment on column request.erased_at is 'When the keys of the case were destroyed and what else came from the resident was blanked.';

create table request_erasure (
  request_id text primary key references request (id) on delete cascade,
  erased_at  timestamptz not null,
  -- the purpose ended, its retention ran out, or two people decided
  cause      text not null check (cause in ('ended', 'retention', 'decision')),
  -- the receipt, packed (RFC 1952), so that a search for the traces that it names does not find itself; null when the person who erased has it, or nothing was sealed
  receipt    bytea
);
comment on table request_erasure is 'purpose: service-requests. When and why what a resident wrote was erased, and the receipt that proves it; holds no key and no word of the case.';
