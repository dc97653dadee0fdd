"""Find one person's events on one agent, and their sign-ins, for the activity page."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("studio", "0002_audit_chain")]
    operations = [
        migrations.AddIndex(
            model_name="auditevent",
            index=models.Index(fields=["agent_id", "actor_kind", "actor_id", "-id"], name="studio_audit_agent_actor"),
        ),
        migrations.AddIndex(
            model_name="auditevent",
            index=models.Index(
                fields=["actor_id", "-id"], condition=models.Q(action="person.sign_in"), name="studio_audit_sign_ins"
            ),
        ),
    ]
