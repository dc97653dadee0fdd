"""API keys, the database roles of agents, and how often each key was used in this minute."""

import django.contrib.postgres.fields
import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("studio", "0003_activity_index"),
    ]

    operations = [
        # Unlogged: nobody needs a count of this minute after a crash, and a request costs no disk write.
        migrations.RunSQL(
            "create unlogged table studio_keyrate ("
            "    key_id bigint primary key, minute bigint not null, requests integer not null"
            ") with (fillfactor = 50)",
            "drop table studio_keyrate",
        ),
        migrations.CreateModel(
            name="DatabaseRole",
            fields=[
                (
                    "agent",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="database_role",
                        serialize=False,
                        to="studio.agent",
                    ),
                ),
                ("name", models.CharField(max_length=63, unique=True)),
                ("password_encrypted", models.TextField()),
                ("rotated_at", models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name="ApiKey",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=80)),
                ("prefix", models.CharField(max_length=8, unique=True)),
                ("hash", models.CharField(max_length=64)),
                (
                    "scopes",
                    django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=32), size=None),
                ),
                ("all_agents", models.BooleanField(default=False)),
                ("created_by", models.CharField(max_length=200)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("expires_at", models.DateTimeField(null=True)),
                ("last_used_at", models.DateTimeField(null=True)),
                ("revoked_at", models.DateTimeField(null=True)),
                ("agents", models.ManyToManyField(blank=True, related_name="api_keys", to="studio.agent")),
            ],
            options={
                "ordering": ("-id",),
            },
        ),
    ]
