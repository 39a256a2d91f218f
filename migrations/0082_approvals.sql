create table approval (
  id            text primary key,
  act           text not null,
  subject       text not null,
  body          text not null,
  hash          text not null,
  reason        text not null,
  state         text not null check (state in ('open', 'approving', 'approved', 'performing', 'performed', 'failed', 'spent', 'declined')),
  proposer_id   text not null,
  proposer      text not null,
  proposed_at   timestamptz not null,
  proposed_leaf bigint not null,
  expires_at    timestamptz not null,
  decider_id    text,
  decider       text,
  decided_at    timestamptz,
  decided_leaf  bigint,
  ended_leaf    bigint,
  outcome       text not null default '',
  check (decider_id is null or decider_id <> proposer_id)
);
create index approval_newest on approval (proposed_at desc);
create index approval_unended on approval (id) where state in ('performed', 'failed', 'spent') and ended_leaf is null;
comment on table approval is 'purpose: city-operations. Dangerous acts that one person proposed and another approved or declined; the body names things by id, never a resident''s data.';
