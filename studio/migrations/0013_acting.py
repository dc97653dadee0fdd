"""Who acts is asked again in the transaction of each change, and a key knows who made it."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

# Each statement of a function that is `volatile` sees what was committed before it, so the rights are read after the
# lock is held: whoever takes them away locks the same row first (`for update`).
STILL_MAY = """
    create function public.studio_still_may(kind text, actor text, epoch integer, session text, needs jsonb)
    returns boolean language plpgsql volatile set search_path = pg_catalog as $$
    begin
        if kind = 'key' then
            perform from public.studio_apikey k
            where k.prefix = actor and k.revoked_at is null
                and (k.expires_at is null or k.expires_at > clock_timestamp())
            for key share;
            return found;
        end if;
        perform from public.studio_user u
        where u.id = actor::bigint and u.is_active and u.session_epoch = epoch
        for key share;
        if not found then
            return false;
        end if;
        if session <> '' then
            perform from public.django_session s where s.session_key = session for key share;
            if not found then
                return false;
            end if;
        end if;
        return not exists (
            select from jsonb_array_elements(needs) need
            where not exists (
                select from public.studio_grant g
                where g.user_id = actor::bigint and need -> 'roles' ? g.role
                    and (g.agent_id is null or g.agent_id = need ->> 'agent')));
    end $$;
    revoke execute on function public.studio_still_may from public;
"""
# the label of a key in the log is its name and its prefix
MAKERS = """
    update studio_apikey k set creator_id = u.id
    from studio_auditevent e join studio_user u on u.id::text = e.actor_id
    where e.action = 'key.create' and e.actor_kind = 'person' and e.object = k.name || ' (ams_' || k.prefix || '_…)'
"""


class Migration(migrations.Migration):
    dependencies = [("studio", "0011_restored_from"), ("sessions", "0001_initial")]

    operations = [
        migrations.RunSQL(STILL_MAY, "drop function public.studio_still_may"),
        migrations.AddField(
            "apikey",
            "creator",
            models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="keys_made",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        # whoever encrypts holds it, so that rotate_secret misses nothing
        migrations.RunSQL(
            "insert into studio_turn (name) values ('secrets')", "delete from studio_turn where name = 'secrets'"
        ),
        migrations.RunSQL(MAKERS, migrations.RunSQL.noop),
    ]
