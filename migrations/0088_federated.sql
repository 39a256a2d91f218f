create table federated_identity (
  issuer       text not null,
  subject      text not null,
  person_id    text not null references person on delete cascade,
  created_at   timestamptz not null,
  used_at      timestamptz,
  primary key (issuer, subject)
);
create index federated_identity_person on federated_identity (person_id);
comment on table federated_identity is 'purpose: city-operations. Which account of the city''s sign-in service (OpenID Connect, iss and sub) belongs to which staff account.';
