"""Rules about our own source: what may stand where."""

import ast
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted(path for room in ("studio", "memory") for path in (ROOT / room).rglob("*.py"))
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))
# (dangerous name, where it may stand)
SAFE_NAMES = {"mark_safe", "SafeString", "SafeText", "SafeData"}
# rooms where SQL is written as SQL; a migration is one everywhere
SQL_ROOMS = ("store", "services", "migrations", "sql", "demo", "embedded", "serving", "postgres")
RAW = {"cursor", "raw", "RawSQL", "extra", "executemany", "execute"}


def short(path: Path) -> str:
    return str(path.relative_to(ROOT))


def trees() -> Iterator[tuple[Path, ast.Module]]:
    for path in SOURCES:
        yield path, ast.parse(path.read_text(), str(path))


def names(node: ast.AST) -> Iterator[tuple[str, int]]:
    """Every name and attribute that a module uses or imports."""
    for part in ast.walk(node):
        if isinstance(part, ast.Name):
            yield part.id, part.lineno
        elif isinstance(part, ast.Attribute):
            yield part.attr, part.lineno
        elif isinstance(part, ast.alias):
            yield part.name.rpartition(".")[2], getattr(part, "lineno", 0)


def test_there_is_something_to_look_at() -> None:
    assert len(SOURCES) > 50
    assert len(TEMPLATES) > 20


def test_mark_safe_is_in_render_alone() -> None:
    found = {short(path) for path, tree in trees() for name, _ in names(tree) if name in {"mark_safe", "SafeText"}}
    assert found <= {"memory/render.py"}


def test_safe_strings_are_made_of_constants_elsewhere() -> None:
    """SafeString("…") beside render.py holds no variable."""
    wrong = [
        f"{short(path)}:{call.lineno}"
        for path, tree in trees()
        if short(path) != "memory/render.py"
        for call in ast.walk(tree)
        if isinstance(call, ast.Call)
        and getattr(call.func, "id", getattr(call.func, "attr", "")) in SAFE_NAMES
        and not all(isinstance(argument, ast.Constant) for argument in call.args)
    ]
    assert wrong == []


def test_format_html_gets_a_constant_to_format() -> None:
    wrong = [
        f"{short(path)}:{call.lineno}"
        for path, tree in trees()
        for call in ast.walk(tree)
        if isinstance(call, ast.Call)
        and getattr(call.func, "id", "") in ("format_html", "format_html_join")
        and not isinstance(call.args[0], ast.Constant)
    ]
    assert wrong == []


def test_markup_around_values_is_a_constant() -> None:
    """What is put between values, and not escaped, was written by us."""
    found = [
        (f"{short(path)}:{call.lineno}", call.args[0])
        for path, tree in trees()
        if any(name == "Html" for name, _ in names(tree))
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and getattr(call.func, "attr", "") == "put"
    ]
    assert len(found) > 10
    assert [place for place, markup in found if not _is_constant(markup)] == []


def _is_constant(node: ast.expr) -> bool:
    if isinstance(node, ast.IfExp):
        return _is_constant(node.body) and _is_constant(node.orelse)
    return isinstance(node, ast.Constant)


def test_no_template_switches_escaping_off() -> None:
    wrong = [short(path) for path in TEMPLATES if re.search(r"\|\s*safe(seq)?\b|autoescape\s+off", path.read_text())]
    assert wrong == []


def test_raw_sql_stands_in_the_rooms_for_it() -> None:
    # who asks whether the database is there, what it allows, and who lays out its tables
    allowed = {"studio/views/health.py", "studio/checks.py", "memory/ddl.py"}
    wrong = [
        f"{short(path)}:{call.lineno}"
        for path, tree in trees()
        if not set(path.relative_to(ROOT).parts) & set(SQL_ROOMS) and short(path) not in allowed
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and getattr(call.func, "attr", getattr(call.func, "id", "")) in RAW
    ]
    assert wrong == []


def test_sql_is_never_formatted_into_shape() -> None:
    """No f-string, % or .format() in what is executed: values are bound, names go through psycopg.sql."""
    wrong = []
    for path, tree in trees():
        for call in ast.walk(tree):
            if not (isinstance(call, ast.Call) and getattr(call.func, "attr", "") in ("execute", "executemany")):
                continue
            query = call.args[0] if call.args else None
            by_text = isinstance(query, ast.JoinedStr) or (
                isinstance(query, ast.BinOp) and isinstance(query.op, ast.Mod | ast.Add)
            )
            if by_text:
                wrong.append(f"{short(path)}:{call.lineno}")
    assert wrong == []


def test_no_with_tenant() -> None:
    """`with tenant:` is not safe with threads; schema_context is. A bare name in `with` would be one."""
    wrong = [
        f"{short(path)}:{block.lineno}"
        for path, tree in trees()
        for block in ast.walk(tree)
        if isinstance(block, ast.With)
        for item in block.items
        if isinstance(item.context_expr, ast.Name) and item.context_expr.id in {"tenant", "agent", "self", "ada"}
    ]
    assert wrong == []


def test_csrf_exempt_is_in_the_api_alone() -> None:
    found = {short(path) for path, tree in trees() for name, _ in names(tree) if name == "csrf_exempt"}
    # the middleware asks whether a view is one
    assert {path for path in found if not path.startswith("studio/api/")} <= set()


def test_nothing_is_evaluated_or_unpickled() -> None:
    wrong = {
        f"{short(path)}:{line}"
        for path, tree in trees()
        for name, line in names(tree)
        if name in {"pickle", "marshal", "eval", "exec", "yaml"}
    }
    assert wrong == set()


class Inline(HTMLParser):
    """Finds scripts, styles, handlers and addresses that run, in a template's text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.wrong: list[str] = []
        self._script = ""
        # what stands inside template tags is no HTML
        self.feed(re.sub(r"{%.*?%}|{#.*?#}", "", text, flags=re.S))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        have = {name: value or "" for name, value in attrs}
        for name, value in have.items():
            if name == "style" or name.startswith(("on", "hx-on", "hx-vals")):
                self.wrong.append(f"<{tag} {name}>")
            if value.strip().lower().startswith(("javascript:", "vbscript:", "js:")):
                self.wrong.append(f"<{tag} {name}={value}>")
        if tag == "script" and "src" not in have and have.get("type") != "application/json":
            self.wrong.append("<script>")
        if tag in ("style", "iframe", "object", "embed", "base"):
            self.wrong.append(f"<{tag}>")
        if tag == "meta" and have.get("http-equiv"):
            self.wrong.append("<meta http-equiv>")


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: str(path.relative_to(ROOT / "templates")))
def test_no_template_has_inline_scripts_styles_or_handlers(path: Path) -> None:
    assert Inline(path.read_text()).wrong == []


def test_no_script_of_ours_evaluates_text_or_writes_html() -> None:
    words = r"\beval\(|new Function|innerHTML|outerHTML\s*=|insertAdjacentHTML|document\.write|setTimeout\(\s*[\"']"
    wrong = [
        f"{short(path)}: {found[0]}"
        for path in (ROOT / "static").rglob("*.js")
        for found in [re.search(words, path.read_text())]
        if found
    ]
    assert wrong == []


def test_nothing_is_fetched_from_elsewhere() -> None:
    wrong = [
        short(path)
        for path in [*TEMPLATES, *(ROOT / "static").rglob("*.css")]
        if re.search(r"(src|href)=[\"'](https?:)?//|url\(\s*[\"']?(https?:)?//|@import", path.read_text())
    ]
    assert wrong == []


def test_tests_with_a_long_round_are_marked_so_that_it_is_run() -> None:
    texts = [path.read_text() for path in (ROOT / "tests").rglob("test_*.py")]
    long = [text for text in texts if "from tests.rounds import" in text]
    assert len(long) > 10
    assert all("@pytest.mark.attack" in text for text in long)
