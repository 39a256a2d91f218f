-- When the resident is told of a look: at once, or with the next step of the case. Fixed at the look by the city's catalogue.
alter table look_act add column told text not null default 'now' check (told in ('now', 'after-step'));
comment on column look_act.told is 'From the catalogue at the time of the look; a later change of the catalogue hides nothing that was shown.';
