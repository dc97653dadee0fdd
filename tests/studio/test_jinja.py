"""Templates: what they may call, what is escaped, and the macros that many pages use."""

import re
from pathlib import Path

import pytest
from django.urls import NoReverseMatch, reverse
from jinja2 import UndefinedError
from markupsafe import escape

from studio import icons
from tests.reading import rendered

ROOT = Path(__file__).resolve().parents[2]


def test_values_are_escaped() -> None:
    assert rendered("{{ value }}", value="<b>") == "&lt;b&gt;"


def test_a_name_that_no_view_gave_is_an_error() -> None:
    with pytest.raises(UndefinedError):
        rendered("{% if nobody %}{% endif %}")


class TestAddresses:
    def test_they_are_those_of_the_routes(self) -> None:
        assert rendered("{{ url('thread', id, 'a-thread') }}", id="agt-ada") == "/agents/agt-ada/threads/a-thread/"

    def test_they_are_escaped(self) -> None:
        odd = "b <c>&'"
        assert rendered("{{ url('threads', odd) }}", odd=odd) == escape(reverse("threads", args=[odd]))

    def test_a_name_that_no_route_has_is_an_error(self) -> None:
        with pytest.raises(NoReverseMatch):
            rendered("{{ url('nowhere') }}")


class TestIcons:
    ICON = '{% from "studio/_icon.html" import icon %}{{ icon(name, 14) }}'

    def test_they_are_svg_that_screen_readers_skip(self) -> None:
        html = rendered(self.ICON, name="copy")
        assert html.startswith('<svg class="icon" width="14" height="14"')
        assert re.search(r'/icons\.svg\?v=[0-9a-f]{12}#copy" /></svg>$', html)
        assert 'aria-hidden="true"' in html
        assert "style" not in html

    def test_the_file_of_icons_has_those_that_templates_use_and_no_other(self) -> None:
        sources = " ".join(path.read_text() for path in (ROOT / "templates").rglob("*.html"))
        used = re.findall(r"""(?:icon\(|before=|after=)"([a-z0-9-]+)\"""", sources)
        assert sorted(set(used)) == icons.NAMES == re.findall(r'<svg [^>]*id="([^"]+)"', icons.SPRITE)


def test_indentation_is_not_sent_and_values_stay_as_they_are() -> None:
    assert rendered("<p>\n    <b>\n\t{{ value }}</b>\n  </p>", value="\n  x") == "<p>\n<b>\n\n  x</b>\n</p>"
    assert rendered('<i\n  {% if value %}a="b"{% endif %}\n  c="d"\n>', value=1) == '<i\na="b" c="d"\n>'


def test_options_mark_what_is_chosen_and_escape_the_rest() -> None:
    html = rendered(
        '{% from "studio/_field.html" import options %}{{ options(pairs, chosen) }}',
        pairs=[("a", "A", "more"), ('"><b>', "<i>")],
        chosen='"><b>',
    )
    assert html.split("\n")[0].strip() == '<option value="a" >A</option>'
    assert '<option value="&#34;&gt;&lt;b&gt;" selected>&lt;i&gt;</option>' in html


def test_a_link_says_whether_it_leads_to_this_page_or_around_it() -> None:
    for here, said in (("keys", 'aria-current="page"'), ("key-new", 'aria-current="true"'), ("people", "")):
        html = rendered('{% from "studio/_nav.html" import current %}{{ current(here, "keys", "key-new") }}', here=here)
        assert html == said
