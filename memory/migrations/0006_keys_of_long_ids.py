"""Threads with an id of more than 4 KB are found by its key, which stands for it in lists and addresses."""

from typing import ClassVar

from django.db import migrations

from memory.schema.run import run


class Migration(migrations.Migration):
    atomic = False
    dependencies: ClassVar = [("memory", "0005_order_of_runs")]
    # the last one takes the new functions away from everybody but the owner
    operations: ClassVar = [
        migrations.RunPython(run(f"{name}.sql", online=name == "tables", again=True), migrations.RunPython.noop)
        for name in ("tables", "facts", "fold")
    ]
