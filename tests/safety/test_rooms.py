"""Which room may use which: imports go one way, and requests stay above the services."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# where the house is put together
JOINTS = ("studio/urls.py", "studio/api/main.py", "studio/settings.py", "studio/management/commands/")
# each room of memory, above those that it may use
FLOORS = (
    ("pages", "api", "urls"),
    ("services", "demo"),
    ("index", "transcript", "history"),
    ("query", "schema", "migrations", "apps"),
)
# what answers requests in the studio's rooms
ABOVE_SERVICES = {"views", "forms", "guard", "urls", "account", "adapters", "confirm", "factors", "oidc", "sign_in"}
# who counts and notes the tries of a request
ABOVE_SERVICES |= {"passwords", "limits", "refusals"}
REQUESTS = ("django.http", "django.shortcuts", "django.contrib.messages", "studio.web", "studio.people.guard", "ninja")


def imports(place: str) -> Iterator[tuple[str, str]]:
    """Every import below a folder, as (file, dotted name)."""
    for path in sorted((ROOT / place).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(), str(path))):
            if isinstance(node, ast.Import):
                yield from ((str(path.relative_to(ROOT)), alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                yield from ((str(path.relative_to(ROOT)), f"{node.module}.{alias.name}") for alias in node.names)


def is_in(name: str, *rooms: str) -> bool:
    return any(name == room or name.startswith(f"{room}.") for room in rooms)


def test_there_is_something_to_look_at() -> None:
    assert len(set(imports("studio"))) > 300
    assert len(set(imports("memory"))) > 100


def test_the_studio_uses_memory_only_where_the_house_is_put_together() -> None:
    assert [one for one in imports("studio") if is_in(one[1], "memory") and not one[0].startswith(JOINTS)] == []


@pytest.mark.parametrize(
    "room", ["memory/services", "memory/index", "memory/transcript", "memory/history", "memory/schema"]
)
def test_no_request_comes_below_the_pages(room: str) -> None:
    assert [one for one in imports(room) if is_in(one[1], *REQUESTS)] == []


@pytest.mark.parametrize("room", ["agents", "audit", "keys", "people"])
def test_no_request_comes_into_the_studios_services(room: str) -> None:
    found = [one for one in imports(f"studio/{room}") if Path(one[0]).stem not in ABOVE_SERVICES]
    assert found
    assert [one for one in found if is_in(one[1], *REQUESTS)] == []


def test_the_bundled_postgres_needs_no_django() -> None:
    backend = "studio/postgres/backend/"
    wrong = [one for one in imports("studio/postgres") if is_in(one[1], "django", "django_tenants")]
    assert [one for one in wrong if not one[0].startswith(backend)] == []


def test_the_client_needs_httpx_alone() -> None:
    names = {name.partition(".")[0] for _, name in imports("studio/client")}
    others = names - {"httpx", "agno", "studio"}
    assert all(other in __import__("sys").stdlib_module_names for other in others), others
    assert all(is_in(name, "studio.client") for _, name in imports("studio/client") if is_in(name, "studio"))


def test_what_is_sent_is_a_pure_function() -> None:
    others = {name.partition(".")[0] for _, name in imports("memory/history") if not is_in(name, "memory.history")}
    assert {other for other in others if other not in __import__("sys").stdlib_module_names} == {"pydantic"}


@pytest.mark.parametrize("floor", range(len(FLOORS)))
def test_memory_is_used_from_above(floor: int) -> None:
    """A room uses those beside and below it, never one above."""
    above = [f"memory.{room}" for rooms in FLOORS[:floor] for room in rooms]
    wrong = [
        one
        for room in FLOORS[floor]
        for one in [*imports(f"memory/{room}"), *_own(f"memory/{room}.py")]
        if above and is_in(one[1], *above)
    ]
    assert wrong == []


def test_every_room_of_memory_has_its_floor() -> None:
    rooms = {path.stem for path in (ROOT / "memory").iterdir() if not path.name.startswith("__")}
    assert rooms == {room for rooms in FLOORS for room in rooms}


def _own(file: str) -> list[tuple[str, str]]:
    """The imports of a room that is one file."""
    path = ROOT / file
    return [one for one in imports("memory") if one[0] == file] if path.exists() else []


@pytest.mark.parametrize("setting", ["session_summaries"])
def test_a_setting_is_named_in_few_files(setting: str) -> None:
    """Another setting needs its model, a word on the page, and the client; and what it does to a thread."""
    places = [*(ROOT / "studio").rglob("*.py"), *(ROOT / "memory").rglob("*.py")]
    places += [*(ROOT / "templates").rglob("*.html"), *(ROOT / "static").rglob("*.js")]
    named = {str(path.relative_to(ROOT)) for path in places if setting in path.read_text()}
    assert {name for name in named if "/migrations/" not in name} == {
        "studio/models/agents.py",
        "studio/client/agent.py",
        "memory/history/question.py",
        "memory/history/thread.py",
        "templates/memory/_memory_settings.html",
    }


def test_no_file_name_stands_for_two_meanings() -> None:
    """A name that is there twice is one subject in two rooms, or a word for what every room has."""
    names: dict[str, list[str]] = {}
    for path in [*(ROOT / "studio").rglob("*.py"), *(ROOT / "memory").rglob("*.py")]:
        if path.name != "__init__.py" and "migrations" not in path.parts and "commands" not in path.parts:
            names.setdefault(path.stem, []).append(str(path.relative_to(ROOT)))
    twice = {name for name, places in names.items() if len(places) > 1}
    in_every_room = {"apps", "forms", "views", "service", "urls", "schemas"}
    one_subject = {"agents", "deletion", "memory_settings", "runs", "threads", "upkeep", "users"}
    assert twice == in_every_room | one_subject
