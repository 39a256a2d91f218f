create table log_head (
  only_row      boolean primary key default true check (only_row),
  origin        text not null,
  verifier_key  text not null,
  size          bigint not null,
  root          bytea not null,
  checkpoint    text not null,
  checkpoint_at timestamptz not null
);
comment on table log_head is 'purpose: city-operations. The last signed head of the transparency log, in a second place beside the log''s files, so that the log cannot be rolled back unseen.';

create table log_body (
  commitment bytea primary key,
  kind       text not null,
  nonce      bytea not null,
  body       text not null,
  from_index bigint not null,
  leaf_index bigint unique,
  created_at timestamptz not null
);
create index log_body_pending on log_body (from_index) where leaf_index is null;
comment on table log_body is 'purpose: city-operations. What leaves that concern no case commit to; never personal data.';
