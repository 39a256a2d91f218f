-- When a log is begun anew after a rollback, its indexes begin at 0 again: what the leaves of the old one commit to moves here.
create table log_body_old (
  -- the folder log-<number> holds the log whose leaf this is
  log_number integer not null,
  commitment bytea primary key,
  kind       text not null,
  nonce      bytea not null,
  body       text not null,
  leaf_index bigint,
  created_at timestamptz not null
);
comment on table log_body_old is 'purpose: city-operations. What leaves of logs that were ended commit to; never personal data.';
