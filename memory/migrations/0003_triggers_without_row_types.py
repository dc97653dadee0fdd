"""The triggers again: a table of ours that is gone no longer fails an agent's write."""

from typing import ClassVar

from django.db import migrations

from memory.schema.run import run


class Migration(migrations.Migration):
    atomic = False
    dependencies: ClassVar = [("memory", "0002_faster_triggers")]
    operations: ClassVar = [migrations.RunPython(run("triggers.sql", again=True), migrations.RunPython.noop)]
