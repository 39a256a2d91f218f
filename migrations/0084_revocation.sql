-- Whatever takes a right away, a page, a command or SQL by hand, is told to every process as an event of the bus, at commit.
create function tell_revocation() returns trigger language plpgsql as $$
declare
  holder text;
begin
  case tg_table_name
    when 'session' then holder := old.person_id;
    else holder := new.id;
  end case;
  perform pg_advisory_xact_lock(7301001); -- one publisher at a time, as in platform/bus.ts
  insert into event (at, topic, key, payload) values (now(), 'credential.revoked', holder, '{}');
  perform pg_notify('bus', '');
  return null;
end
$$;

create constraint trigger person_revocation after update on person deferrable initially deferred for each row
  when (new.disabled_at is distinct from old.disabled_at or new.positions is distinct from old.positions) execute function tell_revocation();
create constraint trigger session_revocation after delete on session deferrable initially deferred for each row execute function tell_revocation();
create constraint trigger token_revocation after insert on revoked_token deferrable initially deferred for each row execute function tell_revocation();
