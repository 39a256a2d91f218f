-- Residents' words leave the tables: they are sealed as the record `report` of the case, and only their presence stands here.
alter table request
  -- names of the sealed fields: 'description' and 'answer.CODE' for each free-text answer
  add column word_fields    text[] not null default '{}',
  -- false for rows of before, until their words are sealed and blanked at the next start
  add column parted         boolean not null default false,
  -- free-text answers that a person has released to the public
  add column public_answers jsonb;
create index request_unparted on request (id) where not parted;
comment on column request.description is 'Empty since words are sealed; rows of before are sealed and blanked at the next start.';
comment on column request.attributes is 'Structured answers only: choices, numbers, times.';

alter table request_note add column sealed boolean not null default false;
comment on column request_note.sealed is 'The sentence is a resident''s and stands sealed as the record `reopening-SEQ` of the case.';

-- What was released together with the answers stays released.
update request set public_answers = attributes where published;

-- The room's history and the outbox keep that there was a report, not its words.
alter table incident_log disable trigger incident_log_append_only;
update incident_log set text = '', body = jsonb_set(body, '{request,description}', '""') where kind in ('opened', 'request_joined') and body #>> '{request,requestId}' is not null;
update incident_log set text = 'The resident says that it is not done.', body = case when kind = 'reopened' then jsonb_set(body, '{reason}', '""') else body end
  where author is null and kind in ('reopened', 'note') and text like 'Request %';
alter table incident_log enable trigger incident_log_append_only;
update event set payload = jsonb_set(payload, '{description}', '""') where topic = 'request.filed';
update event set payload = jsonb_set(payload - 'reason', '{report,description}', '""') where topic = 'request.reopened';
update event set payload = jsonb_set(payload, '{entry,text}', '""')
  where topic = 'incident.changed' and payload #> '{entry,author}' = 'null'
    and (payload #>> '{entry,kind}' in ('request_joined', 'reopened', 'note') or (payload #>> '{entry,kind}' = 'opened' and payload #>> '{incident,origin}' = 'request'));
