-- Processes that share the work of taking readings, each on a row of its own that it renews every two seconds.
create table sensing_process (
  name    text primary key,
  seen_at timestamptz not null
);
comment on table sensing_process is 'purpose: city-operations. Which processes of this city take readings at the moment.';
