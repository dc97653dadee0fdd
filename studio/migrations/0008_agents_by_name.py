"""The sidebar reads its names from an index."""

from django.db import migrations, models
from django.db.models.functions import Lower


class Migration(migrations.Migration):
    dependencies = [("studio", "0007_turns")]
    operations = [
        migrations.AddIndex("agent", models.Index(Lower("name"), models.F("id"), name="studio_agent_by_name")),
    ]
