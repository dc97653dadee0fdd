"""Chain the audit log inside the database, so that no code path can write an unchained row."""

from django.db import migrations

HASH = """
create function studio_audit_hash(prev bytea, e studio_auditevent) returns bytea
language sql stable parallel safe as $$
    select sha256(prev || convert_to(jsonb_build_array(
        e.id, (extract(epoch from e.at) * 1000000)::bigint, e.actor_kind, e.actor_id, e.actor, e.ip,
        e.request_id, e.agent_id, e.action, e.object, e.data, e.reason)::text, 'UTF8'))
$$
"""

# One writer at a time: the lock is held until its transaction ends, so the chain has no forks.
CHAIN = """
create function studio_audit_chain() returns trigger language plpgsql as $$
declare head record;
begin
    perform pg_advisory_xact_lock(7261038842);
    select id, hash into head from studio_auditevent order by id desc limit 1;
    new.id := coalesce(head.id, 0) + 1;
    new.at := clock_timestamp();
    new.prev_hash := coalesce(head.hash, ''::bytea);
    new.hash := studio_audit_hash(new.prev_hash, new);
    return new;
end $$
"""

REFUSE = """
create function studio_audit_refuse() returns trigger language plpgsql as $$
begin
    raise exception 'the audit log is append-only';
end $$
"""

TRIGGERS = [
    "create trigger chain before insert on studio_auditevent for each row execute function studio_audit_chain()",
    "create trigger append_only before update or delete on studio_auditevent"
    " for each row execute function studio_audit_refuse()",
    "create trigger never_emptied before truncate on studio_auditevent"
    " for each statement execute function studio_audit_refuse()",
    "revoke update, delete, truncate on studio_auditevent from current_user",
]


class Migration(migrations.Migration):
    dependencies = [("studio", "0001_initial")]
    operations = [
        migrations.RunSQL(statement, migrations.RunSQL.noop) for statement in (HASH, CHAIN, REFUSE, *TRIGGERS)
    ]
