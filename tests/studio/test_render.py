"""Markdown of strangers: nothing but text, and a bounded amount of work."""

from html import unescape
from html.parser import HTMLParser
from urllib.parse import urlsplit

import nh3
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from studio import render
from studio.render import CLASSES, MAX_BYTES, MESSAGE_STEPS, SCHEMES, TAGS, Budget, markdown, plain
from tests.rounds import rounds

ATTACKS = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg onload=alert(1)>",
    "<svg><script>alert&#40;1)</script>",
    "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    "<object data=javascript:alert(1)>",
    "<embed src=javascript:alert(1)>",
    "<form action=/agents/ method=post><button>go</button></form>",
    "<input autofocus onfocus=alert(1)>",
    "<details open ontoggle=alert(1)>",
    "<video><source onerror=alert(1)></video>",
    "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
    "<style>@import 'http://evil.example/x.css'</style>",
    "<link rel=stylesheet href=http://evil.example/x.css>",
    "<base href=http://evil.example/>",
    "<meta http-equiv=refresh content='0;url=http://evil.example'>",
    "<a href='javascript:alert(1)'>x</a>",
    "<a href=x hx-get=/agents/ hx-trigger=load>x</a>",
    "<div hx-get=/agents/ hx-trigger=load data-hx-on:load=alert(1)>",
    "<div style='background:url(http://evil.example)'>",
    "<div id=toasts class=skip>",
    "<p onclick=alert(1) title='<b>'>x</p>",
    "<!--><script>alert(1)</script>-->",
    "<![CDATA[<script>alert(1)</script>]]>",
    "<?php echo 1 ?><script>alert(1)</script>",
    "</textarea><script>alert(1)</script>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
    "<x/onmouseover=alert(1)>",
    "<scr\x00ipt>alert(1)</scr\x00ipt>",
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "[x](java\tscript:alert(1))",
    "[x](java&Tab;script:alert(1))",
    "[x](java&#x0A;script:alert(1))",
    "[x](&#106;avascript:alert(1))",
    "[x](javascript&colon;alert(1))",
    "[x]( javascript:alert(1))",
    "[x](\x01javascript:alert(1))",
    "[x](<javascript:alert(1)>)",
    "[x](vbscript:msgbox(1))",
    "[x](data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==)",
    "[x](data:image/svg+xml,<svg onload=alert(1)>)",
    "[x](file:///etc/passwd)",
    "[x](blob:http://a/b)",
    "[x](ftp://evil.example/)",
    "[x](intent://evil.example)",
    "[x](//evil.example/x)",
    "[x](/agents/)",
    "[x](?a=1)",
    "[x](#main)",
    "[x](../admin)",
    "[x](\\\\evil.example\\x)",
    "[x](https://a.b 'onmouseover=alert(1)')",
    '[x](https://a.b "\\" onmouseover=alert(1) \\"")',
    '[x](https://a.b/" onmouseover="alert(1))',
    "[x][r]\n\n[r]: javascript:alert(1)",
    "[x][r]\n\n[r]: https://a.b \"' onload='alert(1)\"",
    "![x](https://evil.example/track.png)",
    "![x](javascript:alert(1))",
    "![x][r]\n\n[r]: https://evil.example/track.png",
    "[![x](https://evil.example/a.png)](https://a.b)",
    "<javascript:alert(1)>",
    "<https://a.b/'onclick='alert(1)>",
    "<mailto:a@b.c?subject=<script>>",
    "`<img src=x onerror=alert(1)>`",
    "```html\n<img src=x onerror=alert(1)>\n```",
    '```"><script>alert(1)</script>\nx\n```',
    "~~~ onclick=alert(1)\nx\n~~~",
    "    <script>alert(1)</script>",
    "|<script>|x|\n|-|-|\n|<img src=x onerror=alert(1)>|[x](javascript:alert(1))|",
    "# <img src=x onerror=alert(1)>",
    "> <script>alert(1)</script>",
    "- <script>alert(1)</script>",
    "1. [x](javascript:alert(1))",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "&#60;script&#62;alert(1)&#60;/script&#62;",
    "\\<script>alert(1)\\</script>",
    "**<b onclick=alert(1)>**",
    "{{ 7*7 }}{% debug %}{{ request.user }}",
    "\u202e<script>alert(1)</script>",
    "\ufeff[x](javascript:alert(1))",
]


class Parsed(HTMLParser):
    """Tags and attributes as a browser would see them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.other: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_comment(self, data: str) -> None:
        self.other.append(data)

    handle_decl = unknown_decl = handle_pi = handle_comment


def check(html: str) -> None:
    """Fail on any tag, attribute or scheme that is not allowed."""
    parsed = Parsed(html)
    assert not parsed.other
    for tag, attributes in parsed.tags:
        assert tag in TAGS
        allowed = {"a": {"href", "rel"}, "ol": {"start"}, "div": {"class", "tabindex"}}
        allowed |= {"th": {"class"}, "td": {"class"}}
        assert attributes.keys() <= allowed.get(tag, set())
        if "class" in attributes:
            assert attributes["class"] in CLASSES[tag]
        if "href" in attributes:
            assert urlsplit(attributes["href"] or "").scheme in SCHEMES
            assert attributes["rel"] == "noopener noreferrer nofollow"
        if "start" in attributes:
            assert (attributes["start"] or "").isdigit()


@pytest.mark.parametrize("text", ATTACKS)
def test_an_attack_is_text(text: str) -> None:
    for around in ("{}", "a {} b", "- {}\n", "> {}", "|a|\n|-|\n|{}|", "**{}**", "# {}"):
        html = markdown(around.format(text) if "{" not in text else text)
        check(html)
        assert "<script" not in html.lower()


def test_an_attack_can_still_be_read() -> None:
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in markdown("<script>alert(1)</script>")


@pytest.mark.attack
@given(st.text(alphabet="<>[]()!*_`~#|-\\&;:\"'/=ax1 \n\t\x00\u202ehjscriptonerlgd", max_size=200))
@example("[x](javascript:alert(1)//https://a.b)")
@settings(max_examples=rounds(300, 2000), deadline=None)
def test_any_text_is_harmless(text: str) -> None:
    check(markdown(text))


@pytest.mark.attack
@given(st.from_regex(render._PROSE, fullmatch=True))
@example('Done. See https://example.com/a-b (page 2): 50% off, isn\'t it? "Yes" ')
@settings(max_examples=rounds(300, 2000), deadline=None)
def test_plain_prose_is_what_the_parser_makes_of_it(text: str) -> None:
    parsed = nh3.clean(render._html(text, {"left": MESSAGE_STEPS}), tags=set(TAGS)).strip()
    assert unescape(markdown(text).strip()) == unescape(parsed)


def test_it_renders_what_an_answer_needs() -> None:
    html = markdown(
        "# Title\n\n**bold** *em* ~~gone~~ `code`\n\n- a\n- b\n\n3. c\n\n> q\n\n|a|b|\n|-|-|\n|1|2|\n\n"
        "```py\nx = 1\n```\n\n"
        "[link](https://example.com/a?b=1&c=2) <mailto:a@b.c>\n\n---\n"
    )
    for part in (
        "<h4>Title</h4>",
        "<strong>bold</strong>",
        "<em>em</em>",
        "<s>gone</s>",
        "<li>a</li>",
        '<ol start="3">',
        "<blockquote>",
        "<td>1</td>",
        "<pre><code>x = 1\n</code></pre>",
        '<a href="https://example.com/a?b=1&amp;c=2" rel="noopener noreferrer nofollow">link</a>',
        '<a href="mailto:a@b.c"',
        "<hr>",
    ):
        assert part in html


def test_a_table_scrolls_in_a_box_and_keeps_its_alignment() -> None:
    html = markdown("Before\n\n|a|b|c|d|\n|-|:-|:-:|-:|\n|1|2|3|4|\n\nAfter")
    assert '<div class="table" tabindex="0"><table>' in html
    assert "</table>\n</div>" in html.replace("\n\n", "\n")
    for tag, cells in (("th", "abcd"), ("td", "1234")):
        for cell, side in zip(cells, ("", ' class="left"', ' class="center"', ' class="right"'), strict=True):
            assert f"<{tag}{side}>{cell}</{tag}>" in html
    assert "style" not in html


def test_headings_stay_below_those_of_the_page() -> None:
    html = markdown("".join(f"{'#' * level} {level}\n\n" for level in range(1, 7)))
    assert [tag for tag, _ in Parsed(html).tags] == ["h4", "h5", "h6", "h6", "h6", "h6"]


def test_a_bare_address_is_no_link() -> None:
    assert "<a" not in markdown("see https://example.com and example.com")


# The work is bounded, whatever the machine


@pytest.mark.parametrize("text", ["x" * (MAX_BYTES + 1), "é" * (MAX_BYTES // 2 + 1)])
def test_a_text_above_the_limit_is_shown_as_it_is(text: str) -> None:
    assert markdown(text) == plain(text)


def repeated(piece: str) -> str:
    return (piece * MAX_BYTES)[:MAX_BYTES]


COSTLY = {
    "quotes between paragraphs": repeated("\\\n> ```\n"),
    "lazy lines under twenty quotes": "> " * 20 + repeated("a\n")[:30_000],
    "open brackets": repeated("["),
    "brackets, open and closed": "[" * 16_000 + "]" * 16_000,
    "lines": repeated("a\n"),
    "rules in quotes": repeated("![\n> ---\n"),
    "cdata": repeated("<![CDATA["),
    "entities": repeated("&"),
}


@pytest.mark.parametrize("name", COSTLY)
def test_a_costly_text_stops_at_the_budget(name: str) -> None:
    budget = Budget()
    given = budget.left
    html = markdown(COSTLY[name], budget)
    assert html == plain(COSTLY[name])
    assert budget.left == given - MESSAGE_STEPS


@pytest.mark.parametrize(
    "piece",
    ["*a ", "*a_ ", "**a *b ", "a**", "*_", "`a``", "[a](<b", "[a](", "[a](http://a.b/", "~~a", "# a\n", "a\n-\n",
     "- a\n\n", "<http://a", "[a]: u '\n", "<!--", "\\", "😀*", " ", "a  \n", "```\n", "> > a\n", "* ", "1) 2) "],
)  # fmt: skip
def test_no_text_takes_more_steps_than_its_share(piece: str) -> None:
    budget = Budget()
    given = budget.left
    check(markdown(repeated(piece), budget))
    assert given - budget.left <= MESSAGE_STEPS


@pytest.mark.parametrize("columns", [50, 5000])
def test_a_table_of_too_many_cells_is_no_table(columns: int) -> None:
    text = "|a" * columns + "\n" + "|-" * columns + "\n" + "|\n" * 5_000
    html = markdown(text)
    assert "<td" not in html
    assert len(html) < 2 * len(text)
    assert "<td" in markdown("|a|b|\n|-|-|\n" + "|1|2|\n" * 200)


def test_prose_is_far_below_the_budget() -> None:
    budget = Budget()
    given = budget.left
    text = ("Some **prose** with `code`, a [link](https://a.b) and\n- an item\n- another\n\n" * 400)[:MAX_BYTES]
    assert "<li>" in markdown(text, budget)
    assert given - budget.left < MESSAGE_STEPS // 2


def test_messages_of_a_page_share_a_budget() -> None:
    budget = Budget(steps=2_000)
    pages = [markdown("**bold** " * 20, budget) for _ in range(10)]
    assert "<strong>" in pages[0]
    assert pages[-1] == plain("**bold** " * 20)
    assert budget.left >= 0


def test_deep_nesting_ends() -> None:
    for text in (">" * 5000 + "a", "- " * 5000 + "a", "[" * 300 + "a" + "](https://a.b)" * 300, "*" * 5000 + "a"):
        html = markdown(text)
        check(html)
        assert html.count("<blockquote>") <= 20


# Whatever goes wrong, the text is shown, escaped


def test_an_error_leaves_the_escaped_text(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> str:
        raise RuntimeError("broken")

    for name in ("studio.render.nh3.clean", "studio.render._html"):
        with monkeypatch.context() as patch:
            patch.setattr(name, fail)
            assert markdown("<b>**x**</b>") == "<p>&lt;b&gt;**x**&lt;/b&gt;</p>"


def test_a_lone_surrogate_leaves_the_escaped_text() -> None:
    assert markdown("**\ud800**") == "<p>**\ud800**</p>"


def test_the_parser_may_do_no_html_and_no_images() -> None:
    for parser in (render._PARSER, render._NO_TABLES):
        assert parser.options["html"] is False
        assert parser.options["linkify"] is False
        assert parser.options["maxNesting"] == 20
        assert "image" not in parser.get_active_rules()["inline"]
