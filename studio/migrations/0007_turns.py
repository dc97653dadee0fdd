"""Let the audit log take turns by a row of its own. Advisory locks are open to every agent's role."""

from django.db import migrations

TABLE = "create table studio_turn (name text primary key)"
ROWS = "insert into studio_turn values ('audit'), ('people')"

# As before, but for who is waited for: the lock is held until the writer's transaction ends.
CHAIN = """
create or replace function studio_audit_chain() returns trigger
language plpgsql set search_path = public, pg_temp as $$
declare head record;
begin
    perform 1 from studio_turn where name = 'audit' for update;
    select id, hash into head from studio_auditevent order by id desc limit 1;
    new.id := coalesce(head.id, 0) + 1;
    new.at := clock_timestamp();
    new.prev_hash := coalesce(head.hash, ''::bytea);
    new.hash := studio_audit_hash(new.prev_hash, new);
    return new;
end $$
"""


class Migration(migrations.Migration):
    dependencies = [("studio", "0006_audit_page")]
    operations = [migrations.RunSQL(statement, migrations.RunSQL.noop) for statement in (TABLE, ROWS, CHAIN)]
