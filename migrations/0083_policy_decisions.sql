create table policy_version (
  hash     text primary key,
  since    timestamptz not null,
  document text not null,
  leaf     bigint not null
);
comment on table policy_version is 'purpose: city-operations. Every policy that was in force, as text, so that old decisions can be read against it.';

create table policy_decision (
  id          bigint generated always as identity primary key,
  at          timestamptz not null,
  pseudonym   text not null,
  kind        text not null,
  positions   text[] not null,
  action      text not null,
  resource    text not null,
  allowed     boolean not null,
  count       integer not null,
  policy_hash text not null,
  leaf        bigint
);
create index policy_decision_unsealed on policy_decision (at) where leaf is null;
create index policy_decision_at on policy_decision (at);
comment on table policy_decision is 'purpose: city-operations. What people and tokens were denied, and what they were allowed on cases, people, the register and approvals; by pseudonym, never with an id of a case.';
