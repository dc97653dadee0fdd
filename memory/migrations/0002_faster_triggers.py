"""The functions and triggers as they are now, for schemas that were made with earlier ones."""

from typing import ClassVar

from django.db import migrations

from memory.schema.run import run


class Migration(migrations.Migration):
    atomic = False
    dependencies: ClassVar = [("memory", "0001_tables")]
    operations: ClassVar = [
        migrations.RunPython(run("functions.sql", again=True), migrations.RunPython.noop),
        migrations.RunPython(run("triggers.sql", again=True), migrations.RunPython.noop),
    ]
