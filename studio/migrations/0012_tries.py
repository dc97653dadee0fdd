"""Tries are counted in a table, and who was connected to a provider by an email that it had not verified is not."""

from django.db import migrations

# Unlogged: nobody needs the counts of an hour after a crash, and a try costs no disk write.
TRIES = """
create unlogged table studio_try (
    key text primary key, tries integer not null, ends_at timestamptz not null
) with (fillfactor = 50)
"""
# They are found again by their email at the next sign-in, if it is verified.
UNVERIFIED = """
delete from socialaccount_socialaccount a
where not exists (
    select from studio_user u,
        lateral (select coalesce(a.extra_data -> 'userinfo', a.extra_data -> 'id_token', a.extra_data) as said) s
    where u.id = a.user_id and lower(s.said ->> 'email') = u.email
        and s.said -> 'email_verified' in ('true'::jsonb, '"true"'::jsonb))
"""


class Migration(migrations.Migration):
    dependencies = [
        ("studio", "0011_restored_from"),
        ("socialaccount", "0006_alter_socialaccount_extra_data"),
    ]
    operations = [
        migrations.RunSQL(TRIES, "drop table studio_try"),
        migrations.RunSQL(UNVERIFIED, migrations.RunSQL.noop),
    ]
