"""No page reads an agent's sign-ins any more, so their index goes."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("studio", "0009_words_of_settings")]
    operations = [migrations.RemoveIndex("auditevent", "studio_audit_sign_ins")]
