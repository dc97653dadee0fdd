"""`manage.py history_check` scores the studio on recorded turns, without a database."""

import gzip
import json
from pathlib import Path

import pytest

from memory.history.cases import read_cases
from studio import running
from tests.memory.history.test_golden_cases import DATA
from tests.studio.test_running import shell

FILE = DATA / "odd_values_2_5.jsonl.gz"


def checked(*files: Path, tmp_path: Path) -> tuple[int, str, str]:
    nowhere = "postgresql://me:secret-word@127.0.0.1:9/studio"
    done = shell(
        " ".join([running.MANAGE, "history_check", *map(str, files)]), DATA_DIR=str(tmp_path), DATABASE_URL=nowhere
    )
    return done.returncode, done.stdout, done.stderr


def test_it_counts_the_answers_that_agree(tmp_path: Path) -> None:
    code, said, wrong = checked(FILE, FILE, tmp_path=tmp_path)
    assert (code, said.splitlines()[-1], wrong) == (0, "agree 2958 of 2958", "")


def test_it_shows_those_that_do_not(tmp_path: Path) -> None:
    cases = list(read_cases(FILE))[:40]
    sent = [case for case in cases if case["asks"][0]["sent"]]
    for case in sent[:6]:
        case["asks"][0]["sent"].append("c9.9")
    changed = tmp_path / "changed.jsonl.gz"
    with gzip.open(changed, "wt") as file:
        file.writelines(f"{json.dumps(case)}\n" for case in cases)
    code, said, _ = checked(changed, tmp_path=tmp_path)
    lines = said.splitlines()
    assert (code, lines[-2:]) == (1, ["… and 1 more", f"agree {len(cases) - 6} of {len(cases)}"])
    assert lines[0].startswith(f'{sent[0]["id"]}, ask 0: speaker "alice", add_history true, num_history_runs 10')
    assert lines[1] == '  sent expected ["c0.0", "c0.1", "c1.0", "c1.1", "c9.9"]'
    assert lines[2] == '  sent got ["c0.0", "c0.1", "c1.0", "c1.1"]'


@pytest.mark.parametrize(
    "content",
    [None, b"no gzip", gzip.compress(b"{}\n", mtime=0), gzip.compress(b"[]", mtime=0), gzip.compress(b"x", mtime=0)],
)
def test_what_is_no_such_file_is_one_sentence(content: bytes | None, tmp_path: Path) -> None:
    file = tmp_path / "file.jsonl.gz"
    if content is not None:
        file.write_bytes(content)
    code, said, wrong = checked(file, tmp_path=tmp_path)
    assert (code, said, len(wrong.splitlines())) == (1, "", 1)
    assert f"{file} cannot be read as recorded turns" in wrong
