"""docs/security.md: each promise names tests, and the tests are there."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text()
NEVER = PAGE.partition("## What must never happen")[2].partition("\n## ")[0]
RULES = dict(re.findall(r"^\| (\d+)\. (.+) \|$", NEVER, flags=re.M))
PROMISES = [line for line in PAGE.splitlines() if line.startswith("| ") and "`tests/" in line]
NAMED = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")


def functions(path: Path) -> set[str]:
    return {
        node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef | ast.ClassDef)
    }


@pytest.mark.parametrize(("path", "name"), sorted(set(NAMED.findall(PAGE))))
def test_a_test_that_is_named_is_there(path: str, name: str) -> None:
    assert any(found.startswith("test_") for found in functions(ROOT / path))
    assert not name or name in functions(ROOT / path)


def test_each_rule_is_attacked_here() -> None:
    assert sorted(RULES, key=int) == [str(number) for number in range(1, 25)]
    assert [number for number, rule in RULES.items() if "`tests/safety/test_" not in rule] == []


def test_each_promise_in_a_table_names_its_test() -> None:
    tables = re.findall(r"^\| Promise \| Test \|\n\|---\|---\|\n((?:\|.*\n)+)", PAGE, flags=re.M)
    assert len(tables) == 6
    assert [line for table in tables for line in table.splitlines() if not NAMED.search(line)] == []


def test_every_file_of_attacks_is_named() -> None:
    here = {f"tests/safety/{path.name}" for path in Path(__file__).parent.glob("test_*.py")} - {
        "tests/safety/test_promises.py"
    }
    assert here - {path for path, _ in NAMED.findall(PAGE)} == set()


def test_the_front_page_names_tests_that_are_there() -> None:
    security = (ROOT / "README.md").read_text().partition("## Security")[2].partition("\n## ")[0]
    names = re.findall(r"`(?:tests/safety/)?(test_\w+\.py)`", security)
    assert len(names) >= 9
    assert [name for name in names if not (Path(__file__).parent / name).exists()] == []
