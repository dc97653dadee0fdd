"""Nothing any more: 0004 replaces what this one changed."""

from typing import ClassVar

from django.db import migrations


class Migration(migrations.Migration):
    dependencies: ClassVar = [("memory", "0001_tables")]
