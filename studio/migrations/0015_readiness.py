"""What a check of health writes to, and the agents whose writes are refused while the disk is nearly full."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("studio", "0014_admitted_at")]
    operations = [
        migrations.RunSQL(
            [
                "create table studio_readiness ("
                "    one boolean primary key default true check (one), at timestamptz not null default now()"
                ") with (fillfactor = 10)",
                "insert into studio_readiness default values",
                "create table studio_refusedwrites (role text primary key, since timestamptz not null default now())",
            ],
            ["drop table studio_readiness", "drop table studio_refusedwrites"],
        ),
    ]
