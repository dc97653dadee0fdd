"""Rules about our own source: what may stand where."""

import ast
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from django.template import engines
from jinja2 import StrictUndefined

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted(path for room in ("studio", "memory") for path in (ROOT / room).rglob("*.py"))
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))
STYLES = sorted((ROOT / "static").rglob("*.css"))
# what marks text as HTML
SAFE_NAMES = {"mark_safe", "format_html", "format_html_join", "SafeString", "SafeText", "SafeData", "Markup"}
# rooms where SQL is written as SQL; a migration is one everywhere
SQL_ROOMS = ("index", "transcript", "schema", "services", "migrations", "demo", "postgres", "serve")
SQL_ROOMS += ("audit", "agents", "keys", "people")
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


def test_text_is_marked_as_html_in_render_alone() -> None:
    found = {short(path) for path, tree in trees() for name, _ in names(tree) if name in SAFE_NAMES}
    assert found == {"studio/render.py"}


def test_methods_of_views_are_named_in_web_alone() -> None:
    source = "from django.views.decorators.http import"
    assert [short(path) for path in SOURCES if source in path.read_text()] == ["studio/web.py"]


def test_no_template_switches_escaping_off() -> None:
    wrong = [short(path) for path in TEMPLATES if re.search(r"\|\s*safe\b|\bautoescape\b|\bMarkup\b", path.read_text())]
    assert wrong == []


def test_the_templates_engine_escapes_and_knows_no_unknown_name() -> None:
    engine = engines["jinja2"].env
    assert engine.autoescape is True
    assert engine.undefined is StrictUndefined


@pytest.mark.parametrize("path", [*TEMPLATES, *STYLES], ids=short)
def test_lines_are_as_short_as_those_of_the_code(path: Path) -> None:
    assert [number for number, line in enumerate(path.read_text().splitlines(), 1) if len(line) > 120] == []


@pytest.mark.parametrize("path", STYLES, ids=short)
def test_a_style_sheet_has_one_declaration_a_line(path: Path) -> None:
    text = re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.S)
    assert [line for line in text.splitlines() if re.search(r"[;{].*\S", line)] == []


def test_raw_sql_stands_in_the_rooms_for_it() -> None:
    # who asks whether the database is there, what it allows, who lays out its tables, Django's cache, the counts of
    # tries, and the turn of whoever encrypts
    allowed = {
        *("studio/health.py", "studio/checks.py", "studio/cache.py", "studio/tries.py", "studio/vault.py"),
        "memory/query.py",
    }
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

    TAGS = re.compile(r"{#.*?#}|{{.*?}}|{%.*?%}", re.S)

    def __init__(self, text: str) -> None:
        super().__init__()
        self.wrong: list[str] = []
        self._script = ""
        # what stands inside template tags is no HTML, and what they put there is escaped
        self.feed(self.TAGS.sub("", text))

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


def run_together(text: str) -> list[str]:
    """Conditional attributes on lines of their own that another follows: the engine takes the lines' ends away."""
    attribute = r"[ \t]*{% if [^%]+%}[\w-]+(?:=[^<>\n]*)?(?: [\w-]+(?:=[^<>\n]*)?)*{% endif %}"
    return re.findall(rf"^{attribute}\n{attribute}$", text, flags=re.M)


@pytest.mark.parametrize("path", TEMPLATES, ids=short)
def test_no_attributes_run_together(path: Path) -> None:
    assert run_together(path.read_text()) == []


def test_the_rule_about_attributes_finds_those_that_do() -> None:
    first, second = '  {% if a %}id="{{ b }}"{% endif %}\n', '  {% if c %}tabindex="-1" autofocus{% endif %}\n'
    assert run_together(f"<p\n{first}{second}>")
    assert run_together(f"<p\n{second}{first}>")
    assert not run_together(f'<p\n{first}  class="d"\n{second}>')


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
        for path in [*TEMPLATES, *STYLES]
        if re.search(r"(src|href)=[\"'](https?:)?//|url\(\s*[\"']?(https?:)?//|@import", path.read_text())
    ]
    assert wrong == []


def test_the_rule_about_templates_finds_what_it_looks_for() -> None:
    text = """{% if a > b %}<p {{ c }} style="x" title="{{ d }}" {% if e %}onclick="{{ f }}"{% endif %}>{% endif %}
      <a href="javascript:{{ g }}"><script>h</script><style></style><script type="application/json">{"a": 1}</script>"""
    found = ["<p style>", "<p onclick>", "<a href=javascript:>", "<script>", "<style>"]
    assert Inline(text).wrong == found


def test_tests_with_a_long_round_are_marked_so_that_it_is_run() -> None:
    texts = [path.read_text() for path in (ROOT / "tests").rglob("test_*.py")]
    long = [text for text in texts if "from tests.rounds import" in text]
    assert len(long) > 10
    assert all("@pytest.mark.attack" in text for text in long)
