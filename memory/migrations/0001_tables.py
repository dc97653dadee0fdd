"""Agno's tables in the layout that both its generations take, then ours: the thread index.

Not atomic, so that a schema which holds a million threads already is completed while agents write
to it; a new agent's schema is made in the transaction of its creation all the same.
"""

from typing import ClassVar

from django.db import migrations

from memory.schema.run import run


class Migration(migrations.Migration):
    initial = True
    atomic = False
    dependencies: ClassVar = []
    operations: ClassVar = [
        migrations.RunPython(run("agno.sql", online=True), migrations.RunPython.noop),
        migrations.RunPython(run("tables.sql"), migrations.RunPython.noop),
        migrations.RunPython(run("functions.sql"), migrations.RunPython.noop),
        migrations.RunPython(run("triggers.sql"), migrations.RunPython.noop),
        migrations.RunPython(run("backlog.sql"), migrations.RunPython.noop),
    ]
