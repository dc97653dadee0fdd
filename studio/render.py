"""What was stored as HTML that can do nothing. The only place that may call mark_safe.

A transcript is written by strangers. Its Markdown is parsed with HTML and images off, the result goes
through an allow-list, and whatever goes wrong on the way leaves the escaped text.
"""

import re
from collections.abc import Callable
from typing import Any, Final

import nh3
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt

MAX_BYTES: Final = 32 * 1024
# Prose takes one step for four characters. Some texts take a thousand steps a character: 8 KB of
# quotes between paragraphs would keep a worker busy for seconds.
MESSAGE_STEPS: Final = 100_000
PAGE_STEPS: Final = 600_000
# The parser fills up short rows, and makes 65,000 cells of 4 KB in one step.
MOST_CELLS: Final = 10_000
_BLANK_LINE: Final = re.compile(r"\n[ \t]*\n")
# one line that begins with a letter and has no character that Markdown reads: it needs no parser
_PROSE: Final = re.compile(r"[^\W\d_](?:[^\W_]|[ ,.;:?%$/()'\"-])*")

# headings begin below those of the page, at h4
TAGS: Final = frozenset(
    {"a", "blockquote", "br", "code", "em", "h4", "h5", "h6", "hr", "li", "ol", "p", "pre", "s", "strong"}
    | {"table", "tbody", "td", "th", "thead", "tr", "ul"}
)
ATTRIBUTES: Final[dict[str, set[str]]] = {"*": set(), "a": {"href"}, "ol": {"start"}}
SCHEMES: Final = frozenset({"http", "https", "mailto"})


class TooMuchWork(Exception):
    """A text needs more steps than it is given."""


class Budget:
    """Steps that the Markdown of one page may take together."""

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
        ruler.__cache__ = None
    return parser


_PARSER: Final = _parser(without="image")
_NO_TABLES: Final = _parser(without="image table")


def markdown(text: str, budget: Budget | None = None) -> SafeString:
    """Render one message; text that is too long, costly or odd comes back escaped, in a `<p>`.

    Steps are taken from `budget`, which the messages of a page share.
    """
    budget = budget or Budget()
    given = min(MESSAGE_STEPS, budget.left)
    env: dict[str, Any] = {"left": given}
    try:
        if len(text) > MAX_BYTES or len(text.encode()) > MAX_BYTES:
            return plain(text)
        if _PROSE.fullmatch(text):
            return plain(text.rstrip())
        html = nh3.clean(
            _html(text, env),
            tags=set(TAGS),
            attributes=ATTRIBUTES,
            url_schemes=set(SCHEMES),
            link_rel="noopener noreferrer nofollow",
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
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(int(token.tag[1]) + 3, 6)}"
    return str(parser.renderer.render(tokens, parser.options, env))


def _cells(text: str) -> int:
    """The most cells that tables in a text can have: they end at a blank line."""
    if "|" not in text:
        return 0
    blocks = (block.split("\n") for block in _BLANK_LINE.split(text))
    return sum(len(lines) * max(line.count("|") for line in lines) for lines in blocks)


def plain(text: str) -> SafeString:
    """Show text as it is, in a paragraph that keeps its lines."""
    return mark_safe(f"<p>{escape(text)}</p>")  # noqa: S308  # nosec B308 B703  escaped
