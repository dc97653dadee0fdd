"""Commands beside a running studio: they find it, work as they are printed, and say what is missing."""

import os
import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from django.core.management import get_commands

from studio import running
from studio.postgres.kept_files import StartFailure
from tests.server import ROOT, StudioServer, new_database

COMMANDS = {
    "api_key": ["create", "--name", "me", "--scope", "agents:read"],
    "audit": ["verify"],
    "delete_again": [],
    "demo": [],
    "grant_agents": [],
    "migrate_agents": [],
    "remove_factors": ["nobody@example.com"],
    "rotate_secret": [],
    "sign_in_link": [],
    "thread_index": ["check"],
}
ADDRESS = "https://studio.example.com"


def shell(command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Type a command into another terminal, in the directory of the checkout."""
    command = command.replace(".venv/bin/python", sys.executable)
    env = {"PATH": os.environ["PATH"], **variables}
    return subprocess.run(["sh", "-c", command], cwd=ROOT, env=env, capture_output=True, text=True)


def manage(name: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return shell(" ".join([running.MANAGE, name, *COMMANDS[name]]), **variables)


def test_the_command_that_a_start_prints_makes_a_link_that_works(studio_server: StudioServer) -> None:
    """It finds port and database by itself."""
    said = next(line for line in studio_server.said if line.startswith("The link works once"))
    command = re.fullmatch(r".*for one hour; (.*) prints another\..*", said)
    assert command
    link = shell(command[1]).stdout.strip()
    assert link.startswith(f"{studio_server.url}/sign-in/once/")
    assert httpx.get(link).status_code == 200


def test_a_key_that_is_made_beside_it_opens_it(studio_server: StudioServer) -> None:
    key = shell(
        f"{running.MANAGE} api_key create --name me --scope agents:read", DATA_DIR=studio_server.env["DATA_DIR"]
    )
    headers = {"x-api-key": key.stdout.splitlines()[-1]}
    assert httpx.get(f"{studio_server.url}/api/agents/list", headers=headers).status_code == 200


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment that names nothing but DATA_DIR."""
    for name in ("DATABASE_URL", "PUBLIC_URL"):
        # so that it is absent again at the end, whatever the test sets
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    return monkeypatch


def joined() -> tuple[str | None, str | None]:
    running.join()
    return os.environ.get("PUBLIC_URL"), os.environ.get("DATABASE_URL")


def started_with(bare: pytest.MonkeyPatch, variables: dict[str, str] | None) -> None:
    """Let this process be one that was started so, as far as the system tells."""
    bare.setattr(running, "_started_with", lambda pid: variables if pid == os.getpid() else None)


def test_what_a_studio_was_started_with_is_found_while_it_runs(bare: pytest.MonkeyPatch) -> None:
    started_with(bare, {"DATABASE_URL": "postgresql://here/one"})
    with running.found_at(ADDRESS):
        assert joined() == (ADDRESS, "postgresql://here/one")
        bare.delenv("DATABASE_URL")
        bare.delenv("PUBLIC_URL")
    assert joined() == (None, None)


def test_a_process_is_asked_for_its_variables(bare: pytest.MonkeyPatch) -> None:
    variables, pipe = {"A": "b=c", "PATH": os.environ["PATH"]}, subprocess.PIPE
    with subprocess.Popen(["cat"], env=variables, stdin=pipe, stdout=pipe) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"here\n")
        process.stdin.flush()
        # before it answers, the system may not tell yet
        process.stdout.readline()
        found = running._started_with(process.pid)
    assert found is None if sys.platform == "darwin" else found == variables


def test_where_the_system_does_not_tell_the_database_has_to_be_named(bare: pytest.MonkeyPatch) -> None:
    started_with(bare, None)
    with running.found_at(ADDRESS):
        assert joined() == (ADDRESS, None)
    bare.delenv("PUBLIC_URL")
    bare.setenv("DATABASE_URL", "postgresql://here/one")
    with running.found_at(ADDRESS):
        bare.delenv("DATABASE_URL")
        with pytest.raises(StartFailure, match="Set DATABASE_URL as the studio"):
            running.join()


def test_whoever_names_another_database_is_not_led_to_this_one(bare: pytest.MonkeyPatch) -> None:
    started_with(bare, {})
    with running.found_at(ADDRESS):
        bare.setenv("DATABASE_URL", "postgresql://there/two")
        assert joined() == (None, "postgresql://there/two")


def test_what_is_named_is_kept(bare: pytest.MonkeyPatch) -> None:
    started_with(bare, {})
    with running.found_at(ADDRESS):
        bare.setenv("PUBLIC_URL", "https://other.example.com")
        assert joined() == ("https://other.example.com", None)


def test_what_is_set_to_nothing_is_not_set(bare: pytest.MonkeyPatch) -> None:
    started_with(bare, {})
    with running.found_at(ADDRESS):
        bare.setenv("PUBLIC_URL", "")
        assert joined() == (ADDRESS, None)


def test_what_a_killed_studio_left_is_not_believed(bare: pytest.MonkeyPatch, tmp_path: Path) -> None:
    started_with(bare, {})
    with running.found_at(ADDRESS):
        left = {file: file.read_text() for file in tmp_path.iterdir()}
    for file, text in left.items():
        file.write_text(text)
    assert joined() == (None, None)
    # nor while another command looks
    with running.locked(tmp_path / "running.lock", shared=True) as is_free:
        assert is_free
        assert joined() == (None, None)


def test_a_command_names_the_place_where_it_is_not_the_usual_one(bare: pytest.MonkeyPatch) -> None:
    bare.setenv("DATA_DIR", "/srv/my data")
    assert running.command("demo") == "DATA_DIR='/srv/my data' .venv/bin/python manage.py demo"
    bare.delenv("DATA_DIR")
    assert running.command("demo") == ".venv/bin/python manage.py demo"


@pytest.mark.parametrize("name", COMMANDS)
def test_without_a_database_each_command_says_so_in_one_sentence(name: str, tmp_path: Path) -> None:
    nowhere = "postgresql://me:secret-word@127.0.0.1:9/studio"
    away = manage(name, DATA_DIR=str(tmp_path), DATABASE_URL=nowhere)
    assert (away.returncode, len(away.stderr.splitlines())) == (1, 1), away.stderr
    assert away.stderr.startswith("The database does not answer: ")
    assert "secret-word" not in away.stderr
    stopped = manage(name, DATA_DIR=str(tmp_path))
    assert stopped.returncode == 1
    assert stopped.stderr == (
        f"No studio runs on {tmp_path}: start it with make run and leave it running, "
        "or set DATA_DIR and DATABASE_URL as it was started with.\n"
    )


def test_a_database_that_no_studio_has_used_is_one_sentence_too(tmp_path: Path) -> None:
    with new_database() as dsn:
        said = manage("sign_in_link", DATA_DIR=str(tmp_path), DATABASE_URL=dsn)
    assert (said.returncode, len(said.stderr.splitlines())) == (1, 1), said.stderr
    assert said.stderr.startswith("This database has no tables of the studio, or old ones: start the studio on it once")


def test_all_commands_are_tried() -> None:
    # history_check needs no database: tests/studio/test_history_check.py
    assert {*COMMANDS, "serve", "history_check"} == {name for name, app in get_commands().items() if app == "studio"}


WRITTEN = [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "templates").rglob("*.html")]


def test_commands_are_written_as_they_are_typed() -> None:
    texts = {path: path.read_text().replace("{{ manage }}", running.MANAGE) for path in WRITTEN}
    found = [(path, *one) for path, text in texts.items() for one in re.findall(r"(\S* ?)manage\.py (\w+)", text)]
    assert len(found) > 10
    assert [one for one in found if not one[1].endswith(".venv/bin/python ")] == []
    assert {name for _, _, name in found} <= set(get_commands())
