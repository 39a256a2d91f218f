-- Blind index: what a case worker can search for, as HMAC tokens under the city's index key. Whoever has the tables alone reads nothing.
create table case_token (
  case_id text not null,
  record  text not null,
  kind    text not null check (kind in ('word', 'name', 'surname', 'email', 'phone')),
  token   bytea not null,
  primary key (kind, token, case_id, record)
);
create index case_token_case on case_token (case_id, record);
comment on table case_token is 'purpose: service-requests. Keyed hashes of words and contact data of sealed records, so that they can be found and not read.';

-- What is erased can no longer be found.
create function forget_case_tokens() returns trigger language plpgsql as $$
begin
  delete from case_token where case_id = old.case_id and record = old.record;
  return old;
end $$;
create trigger sealed_record_forget after delete on sealed_record for each row execute function forget_case_tokens();

-- One row a look, for the figures of the data protection officer. Written before the look; leaf_index follows when the look is durable.
create table look_act (
  act_id     text not null,
  case_id    text not null,
  record     text not null,
  at         timestamptz not null,
  pseudonym  text not null,
  department text not null,
  position   text not null,
  purpose    text not null,
  via        text not null check (via in ('detail', 'list', 'search', 'export', 'print', 'api')),
  search_by  text check (search_by in ('words', 'name', 'email', 'phone')),
  -- keyed hash of the typed sentence: equal for equal sentences, and nothing else
  reason_mac bytea not null,
  fields     text[] not null,
  assigned   boolean not null,
  own_name   boolean not null,
  own_surname boolean not null,
  sealed_until timestamptz,
  leaf_index bigint,
  primary key (act_id, case_id, record)
);
create index look_act_at on look_act (at);
create index look_act_case on look_act (case_id, at);
create unique index look_act_leaf on look_act (leaf_index) where leaf_index is not null;
comment on table look_act is 'purpose: service-requests. Pseudonyms, departments and ways of looks, for alarms to the data protection officer; no resident''s data.';
