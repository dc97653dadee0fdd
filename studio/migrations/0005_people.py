"""Signing out everywhere, invitations, and a cache that all processes share."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("studio", "0004_keys_and_roles")]

    operations = [
        migrations.AddField("user", "session_epoch", models.PositiveIntegerField(default=0)),
        migrations.AddField("signinlink", "is_invitation", models.BooleanField(default=False)),
        # Counts of tries only, which nobody needs after a crash: not logged to disk.
        migrations.RunSQL(
            "create unlogged table studio_cache ("
            "    cache_key varchar(255) primary key, value text not null, expires timestamptz not null)",
            "drop table studio_cache",
        ),
        migrations.RunSQL("create index studio_cache_expires on studio_cache (expires)", migrations.RunSQL.noop),
    ]
