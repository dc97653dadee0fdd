"""What nobody sees in a short foreign text is marked; what writing needs stays."""

import json

import pytest
from django.template import engines

from studio.visible import as_is, visible, visible_json

HIDDEN = {
    "a direction": ("a\u202egnp.exe", "a⟨U+202E⟩gnp.exe"),
    "an isolate": ("\u2066x\u2069", "⟨U+2066⟩x⟨U+2069⟩"),
    "a mark of direction": ("x\u200f", "x⟨U+200F⟩"),
    "a space without a width": ("ad\u200bmin", "ad⟨U+200B⟩min"),
    "a joiner between Latin letters": ("ad\u200dmin", "ad⟨U+200D⟩min"),
    "a joiner after a picture": ("👩\u200d", "👩⟨U+200D⟩"),
    "a soft hyphen": ("ad\u00admin", "ad⟨U+00AD⟩min"),
    "a byte order mark": ("\ufeffx", "⟨U+FEFF⟩x"),
    "tags": ("x\U000e0041", "x⟨U+E0041⟩"),
    "a variant of a letter": ("x\ufe0f", "x⟨U+FE0F⟩"),
    "a filler": ("\u3164", "⟨U+3164⟩"),
    "Braille without dots": ("\u2800", "⟨U+2800⟩"),
    "a control character": ("a\x07\x1b[31m", "a⟨U+0007⟩⟨U+001B⟩[31m"),
    "a line separator": ("a\u2028b", "a⟨U+2028⟩b"),
    "a private character": ("\ue000", "⟨U+E000⟩"),
    "half of a pair": ("\ud800", "⟨U+D800⟩"),
    "no character": ("\uffff", "⟨U+FFFF⟩"),
    "many accents": ("Z" + "\u0301" * 20, "Z" + "\u0301" * 6 + "⟨14 more accents⟩"),
}
SEEN = [
    "plain",
    "a\nb\tc",
    "é ü ß İ ŝ",
    "tiếng Việt, decomposed: tie\u0302\u0301ng",
    "שלום עוֹלָם",
    "مرحبا",
    "می\u200cخواهم",
    "क्\u200d क्\u200cष",
    "ภาษาไทยที่นี่",
    "ខ្ញុំ\u200bស្រឡាញ់",
    "日本語 葛\U000e0100",
    "👩\u200d🚀 👨\u200d👩\u200d👧\u200d👦 🏳\ufe0f\u200d🌈 👍🏽 1\ufe0f\u20e3 ❤\ufe0f",
    "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
    "non\u00a0breaking",
]


@pytest.mark.parametrize("name", HIDDEN)
def test_what_nobody_sees_is_marked(name: str) -> None:
    text, shown = HIDDEN[name]
    assert visible(text) == shown


@pytest.mark.parametrize("text", SEEN)
def test_what_writing_needs_stays(text: str) -> None:
    assert visible(text) == text
    assert visible_json(text) == text


@pytest.mark.parametrize("name", sorted(HIDDEN.keys() - {"half of a pair", "a control character", "many accents"}))
def test_json_means_the_same(name: str) -> None:
    text = HIDDEN[name][0]
    shown = visible_json(json.dumps(text, ensure_ascii=False))
    assert json.loads(shown) == text
    assert visible(shown) == shown


def test_a_template_marks_what_it_writes_unless_it_is_as_it_is() -> None:
    made = engines["jinja2"].env.from_string("<i title='{{ t }}'>{{ t }} {{ t ~ 1 }}</i>{{ t|as_is }}")
    shown = made.render(t="<\u202e>")
    assert shown == "<i title='&lt;⟨U+202E⟩&gt;'>&lt;⟨U+202E⟩&gt; &lt;⟨U+202E⟩&gt;1</i>&lt;\u202e&gt;"
    assert as_is(7) == 7
