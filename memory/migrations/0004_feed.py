"""The index is folded from a feed, in place of triggers that counted inside an agent's transaction.

The new triggers come before the old ones go, so that no write is lost, and what folds comes after them, so that nothing
is counted twice. Threads that are there already keep their rows in the lists, and are counted anew in the background.
"""

from typing import ClassVar

from django.db import migrations

from memory.schema.run import run


class Migration(migrations.Migration):
    atomic = False
    dependencies: ClassVar = [("memory", "0003_triggers_without_row_types")]
    operations: ClassVar = [
        migrations.RunPython(run(f"{name}.sql", again=True), migrations.RunPython.noop)
        for name in ("tables", "facts", "feed", "tombstones", "gone", "fold", "backlog")
    ]
