"""Stored Markdown rendered as harmless HTML. No other module may mark text as HTML.

Transcripts are written by strangers. Their Markdown is parsed without HTML and images, and the result
goes through an allow-list of tags and attributes. If anything fails, the page shows the escaped text.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any, Final

import nh3
from django.template.loader import render_to_string
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt
from markdown_it.token import Token

MAX_BYTES: Final = 32 * 1024
# A step is one call of a parser rule. Prose takes one for every four characters, but some texts take a
# thousand for each: 8 KB of quotes between paragraphs would keep a worker busy for seconds.
MESSAGE_STEPS: Final = 100_000
PAGE_STEPS: Final = 600_000
# The parser fills up short rows of a table: from 4 KB it makes 65,000 cells in one step.
MOST_CELLS: Final = 10_000
_BLANK_LINE: Final = re.compile(r"\n[ \t]*\n")
# One line that begins with a letter and has no character with a meaning in Markdown: it needs no parser.
# "_", which has one, is looked for apart: a single set of characters is seven times as fast as two.
_PROSE: Final = re.compile(r"[^\W\d_][\w ,.;:?%$/()'\"-]*")

# h1 to h3 are the page's own headings
TAGS: Final = frozenset(
    {"a", "blockquote", "br", "code", "em", "h4", "h5", "h6", "hr", "li", "ol", "p", "pre", "s", "strong"}
    | {"div", "table", "tbody", "td", "th", "thead", "tr", "ul"}
)
ATTRIBUTES: Final[dict[str, set[str]]] = {"*": set(), "a": {"href"}, "ol": {"start"}, "div": {"tabindex"}}
# `table` is the box in which a wide table scrolls; the others are the alignment of a column
_SIDES: Final = {"left", "center", "right"}
CLASSES: Final[dict[str, set[str]]] = {"div": {"table"}, "th": _SIDES, "td": _SIDES}
SCHEMES: Final = frozenset({"http", "https", "mailto"})


class TooMuchWork(Exception):
    """A text needs more steps than it may take."""


class Budget:
    """The number of steps that all Markdown of one page may take together."""

    def __init__(self, steps: int = PAGE_STEPS) -> None:
        self.left = steps


def _counted(rule: Callable[..., Any]) -> Callable[..., Any]:
    def counted(state: Any, *args: Any) -> Any:
        state.env["left"] -= 1
        if state.env["left"] < 0:
            raise TooMuchWork
        return rule(state, *args)

    return counted


def _parser(*, without: str) -> MarkdownIt:
    parser = MarkdownIt("js-default", {"html": False, "linkify": False, "maxNesting": 20}).disable(without.split())
    for ruler in (parser.block.ruler, parser.inline.ruler, parser.inline.ruler2):
        for rule in ruler.__rules__:
            rule.fn = _counted(rule.fn)
        # compiled on first use, so that it holds the counted rules
        ruler.__cache__ = None
    return parser


# an image would be fetched from a server that a stranger names
_PARSER: Final = _parser(without="image")
_NO_TABLES: Final = _parser(without="image table")


def markdown(text: str, budget: Budget | None = None) -> SafeString:
    """Render one message; return it escaped in a `<p>` if it is too long, takes too many steps, or fails.

    Steps are taken from `budget`, which all messages of a page share.
    """
    budget = budget or Budget()
    given = min(MESSAGE_STEPS, budget.left)
    env: dict[str, Any] = {"left": given}
    try:
        # characters first: a long text need not be encoded to be refused
        if len(text) > MAX_BYTES or len(text.encode()) > MAX_BYTES:
            return plain(text)
        if "_" not in text and _PROSE.fullmatch(text):
            return plain(text.rstrip())
        html = nh3.clean(
            _html(text, env),
            tags=set(TAGS),
            attributes=ATTRIBUTES,
            allowed_classes=CLASSES,
            url_schemes=set(SCHEMES),
            link_rel="noopener noreferrer nofollow",
            # a relative address would lead to a page of the studio
            url_relative="deny",
        )
        return mark_safe(html)  # noqa: S308  # nosec B308 B703  the output of the allow-list above
    except Exception:
        return plain(text)
    finally:
        budget.left -= given - max(env["left"], 0)


def _html(text: str, env: dict[str, Any]) -> str:
    parser = _NO_TABLES if _cells(text) > MOST_CELLS else _PARSER
    tokens = parser.parse(text, env)
    return str(parser.renderer.render(list(_as_of_the_page(tokens)), parser.options, env))


def _as_of_the_page(tokens: list[Token]) -> Iterator[Token]:
    """Put headings below the page's own, tables into boxes that scroll, and alignment into classes."""
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(int(token.tag[1]) + 3, 6)}"
        elif token.type in ("th_open", "td_open") and "style" in token.attrs:
            token.attrs = {"class": str(token.attrs["style"]).removeprefix("text-align:")}
        if token.type == "table_open":
            yield Token("box_open", "div", 1, attrs={"class": "table", "tabindex": "0"})
        yield token
        if token.type == "table_close":
            yield Token("box_close", "div", -1)


def _cells(text: str) -> int:
    """Return the most cells that the tables of a text can have; a table ends at a blank line."""
    if "|" not in text:
        return 0
    blocks = (block.split("\n") for block in _BLANK_LINE.split(text))
    return sum(len(lines) * max(line.count("|") for line in lines) for lines in blocks)


def plain(text: str) -> SafeString:
    """Escape a text and put it into a paragraph."""
    return mark_safe(f"<p>{escape(text)}</p>")  # noqa: S308  # nosec B308 B703  escaped


def message(template: str, **values: object) -> SafeString:
    """Render the template of a message that has a link."""
    return mark_safe(render_to_string(template, values).strip())  # noqa: S308  # nosec B308 B703  templates escape
