"""Runs have a place in their thread, in the order in which a person reads them, and the counts of the runs inside them.

All threads are counted anew in the background. Until a thread is, its transcript is read without the index.
"""

from typing import ClassVar

from django.db import migrations

from memory.schema.run import run


class Migration(migrations.Migration):
    atomic = False
    dependencies: ClassVar = [("memory", "0004_feed")]
    operations: ClassVar = [
        migrations.RunPython(run(f"{name}.sql", online=name == "tables", again=True), migrations.RunPython.noop)
        for name in ("tables", "facts", "shown", "tombstones", "fold", "gone", "backlog")
    ]
