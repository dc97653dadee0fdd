"""Find what one person did, and when; and keep the chain's trigger to the tables in public."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("studio", "0005_people")]
    operations = [
        migrations.RemoveIndex("auditevent", "studio_audi_actor_34dc2e_idx"),
        migrations.AddIndex(
            "auditevent", models.Index(fields=["actor_kind", "actor_id", "-id"], name="studio_audit_actor")
        ),
        migrations.AddIndex("auditevent", models.Index(fields=["at"], name="studio_audit_at")),
        migrations.RunSQL(
            "alter function studio_audit_chain() set search_path = public, pg_temp", migrations.RunSQL.noop
        ),
    ]
