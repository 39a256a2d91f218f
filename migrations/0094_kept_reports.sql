create table kept_report (
  account    bytea not null,
  request_id text not null references request on delete cascade,
  kept_at    timestamptz not null,
  primary key (account, request_id)
);
create index kept_report_request on kept_report (request_id);
comment on table kept_report is 'purpose: service-requests. Reports that residents keep in their list, by the HMAC of their account. Without the secret link and without any key: what is sealed of a report stays sealed.';
