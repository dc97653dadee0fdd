"""Agno's tables in the layout that both its generations take, then ours: the thread index.

Not atomic, so that a schema which holds a million threads already is completed while agents write
to it; a new agent's schema is made in the transaction of its creation all the same.
"""

from typing import ClassVar

from django.db import migrations

from memory.schema.run import FILES, run


class Migration(migrations.Migration):
    initial = True
    atomic = False
    dependencies: ClassVar = []
    operations: ClassVar = [
        migrations.RunPython(run(name, online=name == "agno.sql"), migrations.RunPython.noop) for name in FILES
    ]
