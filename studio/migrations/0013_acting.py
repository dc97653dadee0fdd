"""Who acts is asked again in the transaction of each change; who must have a second factor; whose a session is."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

# The table is Django's own, whose app is not installed any more: its rows stay, so that nobody is signed out.
SESSIONS = """
    create table if not exists public.django_session (
        session_key varchar(40) primary key, session_data text not null, expire_date timestamptz not null);
    create index if not exists django_session_expire_date_a5c62663 on public.django_session (expire_date);
    alter table public.django_session
        add column user_id bigint, add column began_at timestamptz, add column used_at timestamptz,
        add column ip varchar(64) not null default '', add column user_agent varchar(300) not null default '';
    create index studio_session_user on public.django_session (user_id);
"""
NO_SESSIONS = """
    alter table public.django_session drop column user_id, drop column began_at, drop column used_at, drop column ip,
        drop column user_agent;
"""
# plain SQL, so that the statement that reads a session and its person has them in its own plan
FACTORS = """
    create function public.studio_needs_factor(person bigint) returns boolean language sql stable as $$
        select coalesce((
            select p.second_factor = 'everybody' or (p.second_factor = 'admins' and exists (
                select from public.studio_grant g where g.user_id = person and g.role = 'admin'))
            from public.studio_policy p limit 1), false)
    $$;
    create function public.studio_lacks_factor(person bigint) returns boolean language sql stable as $$
        select public.studio_needs_factor(person) and not exists (
            select from public.mfa_authenticator a where a.user_id = person and a.type in ('totp', 'webauthn'))
    $$;
    revoke execute on function public.studio_needs_factor, public.studio_lacks_factor from public;
"""
NO_FACTORS = "drop function public.studio_lacks_factor; drop function public.studio_needs_factor;"
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
        if needs <> '[]' and public.studio_lacks_factor(actor::bigint) then
            return false;
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
    dependencies = [("studio", "0012_tries"), ("mfa", "0001_initial")]

    operations = [
        migrations.SeparateDatabaseAndState(
            [migrations.RunSQL(SESSIONS, NO_SESSIONS)],
            [
                migrations.CreateModel(
                    "Session",
                    [
                        (
                            "session_key",
                            models.CharField(
                                max_length=40, primary_key=True, serialize=False, verbose_name="session key"
                            ),
                        ),
                        ("session_data", models.TextField(verbose_name="session data")),
                        ("expire_date", models.DateTimeField(db_index=True, verbose_name="expire date")),
                        ("began_at", models.DateTimeField(null=True)),
                        ("used_at", models.DateTimeField(null=True)),
                        ("ip", models.CharField(default="", max_length=64)),
                        ("user_agent", models.CharField(default="", max_length=300)),
                        (
                            "user",
                            models.ForeignKey(
                                db_constraint=False,
                                null=True,
                                on_delete=django.db.models.deletion.CASCADE,
                                related_name="sessions",
                                to=settings.AUTH_USER_MODEL,
                            ),
                        ),
                    ],
                    {"db_table": "django_session"},
                )
            ],
        ),
        migrations.CreateModel(
            "Policy",
            [
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "second_factor",
                    models.CharField(
                        choices=[("nobody", "Nobody"), ("admins", "Admins"), ("everybody", "Everybody")],
                        default="nobody",
                        max_length=16,
                    ),
                ),
            ],
        ),
        migrations.RunSQL("insert into studio_policy (second_factor) values ('nobody')", migrations.RunSQL.noop),
        migrations.RunSQL(FACTORS, NO_FACTORS),
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
