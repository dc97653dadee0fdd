"""A restored version of memory settings names the version that it was restored from."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("studio", "0010_sign_ins_index")]
    operations = [
        migrations.AddField("memorysettingsversion", "restored_from", models.PositiveIntegerField(null=True)),
    ]
