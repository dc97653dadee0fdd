"""The words that the Memory tab has for its settings; nothing in the database changes."""

import django.core.validators
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("studio", "0008_agents_by_name")]
    operations = [
        migrations.AlterField(
            "memorysettings", "session_storage", models.BooleanField("Session storage", default=True)
        ),
        migrations.AlterField(
            "memorysettings",
            "num_history_runs",
            models.PositiveIntegerField(
                "No. of history runs",
                default=10,
                validators=[
                    django.core.validators.MinValueValidator(1),
                    django.core.validators.MaxValueValidator(1000),
                ],
            ),
        ),
        migrations.AlterField(
            "memorysettings",
            "max_tool_calls_from_history",
            models.PositiveIntegerField(
                "Max tool calls from history",
                default=0,
                validators=[django.core.validators.MaxValueValidator(10_000)],
                help_text="0 means no cap",
            ),
        ),
        migrations.AlterField(
            "memorysettings", "session_summaries", models.BooleanField("Session summaries", default=False)
        ),
    ]
