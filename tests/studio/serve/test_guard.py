"""The tests' own server ends with the run, however that ends."""

import subprocess
import sys

import psycopg

from tests.studio.serve.running import ROOT, until

RUN = """
import os
from tests.postgres import start_guarded
guard = start_guarded()
print(os.environ["DATABASE_URL"], flush=True)
input()
"""


def test_a_killed_run_leaves_no_server_behind() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", RUN], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        psycopg.connect(url).close()
        process.kill()

    def gone() -> bool:
        try:
            psycopg.connect(url).close()
        except psycopg.OperationalError as error:
            return "refused" in str(error)
        return False

    until(gone, 30)
