-- Some residents share their telephone or their letters with the person who must not know. Their page says nothing of looks unless it is asked.
alter table request add column quiet boolean not null default false;
comment on column request.quiet is 'Chosen by the resident on the form; looks are logged and told as for everybody, on the page that ?looks asks for.';
