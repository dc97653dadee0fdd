"""Remember since when a role may log in with its password: what began before is ended."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("studio", "0013_acting")]
    operations = [
        migrations.AddField("databaserole", "admitted_at", models.DateTimeField(null=True)),
        migrations.AddField("databaserole", "oid", models.BigIntegerField(null=True)),
        migrations.RunSQL(
            "update public.studio_databaserole d set oid = r.oid from pg_catalog.pg_roles r where r.rolname = d.name",
            migrations.RunSQL.noop,
        ),
    ]
