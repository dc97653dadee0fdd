"""Facts that a result depends on: the machine, its load, and versions."""

import os
import platform
import sysconfig
from importlib.metadata import version
from pathlib import Path

import psutil

from tests.bench.stage import versions


def facts(dsn: str) -> dict[str, str]:
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return {
        "machine": f"{_processor()}, {os.cpu_count()} cores, {psutil.virtual_memory().total / 2**30:.0f} GB;"
        f" {platform.system()} {platform.release()}",
        "load average at the end": f"{load} (1, 5, 15 min)",
        "versions": f"Postgres {versions(dsn)}, Python {platform.python_version()} ({_build()}), Django"
        f" {version('Django')}, gunicorn {version('gunicorn')}, psycopg {version('psycopg')}; agno 2.5.14 and 3.1.10"
        " on uvicorn",
    }


def _build() -> str:
    """Say how this Python was built: profile-guided optimisation makes it 6 to 8 % quicker."""
    asked = sysconfig.get_config_var("CONFIG_ARGS") or ""
    return "built with PGO" if "--enable-optimizations" in asked else "built without PGO"


def _processor() -> str:
    told = Path("/proc/cpuinfo")
    lines = told.read_text().splitlines() if told.exists() else []
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())
