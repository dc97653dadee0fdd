"""Payloads in every stored field: no page or fragment holds a tag, an attribute or an address outside our own."""

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from django.test import Client
from selectolax.lexbor import LexborHTMLParser

from studio.ids import encode
from studio.models import Agent
from tests.rounds import rounds
from tests.safety import corpus
from tests.world import write_thread

PAYLOADS = rounds(200, 1600)
TAGS = {
    "html",
    "head",
    "meta",
    "title",
    "link",
    "script",
    "body",
    "a",
    "abbr",
    "aside",
    "article",
    "b",
    "bdi",
    "blockquote",
    "br",
    "button",
    "caption",
    "code",
    "col",
    "colgroup",
    "dd",
    "del",
    "details",
    "dialog",
    "div",
    "dl",
    "dt",
    "em",
    "fieldset",
    "footer",
    "form",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "header",
    "hr",
    "i",
    "input",
    "ins",
    "kbd",
    "label",
    "legend",
    "li",
    "main",
    "nav",
    "ol",
    "option",
    "output",
    "p",
    "path",
    "pre",
    "section",
    "select",
    "small",
    "span",
    "strong",
    "summary",
    "table",
    "tbody",
    "td",
    "textarea",
    "th",
    "thead",
    "time",
    "tr",
    "ul",
    "svg",
    "circle",
    "use",
    "-text",
    "-comment",
    "!doctype",
}
ATTRIBUTES = {
    "id",
    "class",
    "href",
    "rel",
    "lang",
    "charset",
    "name",
    "content",
    "type",
    "src",
    "defer",
    "method",
    "action",
    "value",
    "role",
    "title",
    "dir",
    "datetime",
    "hidden",
    "for",
    "placeholder",
    "autocomplete",
    "autofocus",
    "checked",
    "disabled",
    "selected",
    "inputmode",
    "maxlength",
    "min",
    "max",
    "rows",
    "cols",
    "colspan",
    "scope",
    "start",
    "tabindex",
    "open",
    "download",
    "required",
    "novalidate",
    "pattern",
    "multiple",
    "size",
    "width",
    "height",
    "viewbox",
    "fill",
    "stroke",
    "media",
    "stroke-width",
    "stroke-linecap",
    "stroke-linejoin",
    "d",
    "cx",
    "cy",
    "r",
    "rx",
    "ry",
    "x",
    "y",
    "x1",
    "x2",
    "y1",
    "y2",
    "points",
    "xmlns",
    "form",
    "enctype",
    "spellcheck",
    "accept",
    "reversed",
    "step",
    "readonly",
    "color",
    "autocapitalize",
    "viewBox",
}
OUR_SCRIPTS = ("/static/",)
SCHEMES = {"", "http", "https", "mailto"}


def foreign(html: str) -> list[str]:
    """What a browser would make of the page that is not ours."""
    found = []
    for node in LexborHTMLParser(html).css("*"):
        tag = node.tag or ""
        if tag not in TAGS:
            found.append(f"<{tag}>")
        for name, value in node.attributes.items():
            if name not in ATTRIBUTES and not name.startswith(("data-", "aria-", "hx-")):
                found.append(f"<{tag} {name}>")
            if name.startswith("hx-on") or (name.startswith("hx-") and node.css_matches("[data-untrusted] *")):
                found.append(f"<{tag} {name}>")
            if name in ("href", "src", "action") and not ours(tag, value or ""):
                found.append(f"<{tag} {name}={value!r}>")
    return found


def ours(tag: str, address: str) -> bool:
    if tag in ("script", "link", "img", "form", "use"):
        return address.startswith("/") and not address.startswith("//")
    try:
        return urlsplit(address.strip()).scheme.lower() in SCHEMES
    except ValueError:
        return False


def body(client: Client, path: str, **headers: str) -> str:
    response = client.get(path, headers=headers)
    assert response.status_code in (200, 404), f"{path} answered {response.status_code}"
    return response.getvalue().decode() if response.streaming else response.content.decode()


def pages(agent: Agent, session_id: str, user_id: str) -> Iterator[tuple[str, dict[str, str]]]:
    base = f"/agents/{agent.pk}"
    thread = f"{base}/threads/{encode(session_id)}/"
    part = {"HX-Request": "true"}
    yield thread, {}
    yield thread + "?raw=1", part
    yield f"{base}/threads/?user={encode(user_id)}", {}
    yield f"{base}/users/{encode(user_id)}/", {}
    yield f"{base}/delete-threads/?id={encode(session_id)}", part


def test_the_corpora_are_whole() -> None:
    assert len(corpus.NAUGHTY) >= 500
    known = {
        "undefined",
        "1;DROP TABLE users",
        "<script>alert(123)</script>",
        "() { 0; }; touch /tmp/blns.shellshock1.fail;",
        "Ω≈ç√∫˜µ≤≥÷",
        "田中さんにあげて下さい",
        "http://a/%%30%30",
        "Powerلُلُصّبُلُلصّبُررً ॣ ॣh ॣ ॣ冗",
    }
    assert known <= set(corpus.NAUGHTY)
    assert len(corpus.payloads()) > 2 * len(corpus.NAUGHTY)


@pytest.mark.attack
@pytest.mark.django_db
def test_no_page_holds_anything_but_our_own_markup(page: Client, ada: Agent) -> None:
    Agent.objects.filter(pk=ada.pk).update(
        name=corpus.HTMX[4][:120], description=corpus.HTMX[1], model_name=corpus.HTMX[5], instructions=corpus.HTMX[0]
    )
    problems = []
    seen = 0
    for number, texts in enumerate(corpus.batches(corpus.payloads()[:PAYLOADS])):
        session_id, user_id = f"{texts[0][:300]}-{number}", texts[-1][:300]
        runs = [corpus.hostile_run(f"{number}-{n}", text) for n, text in enumerate(texts)]
        write_thread(
            ada,
            session_id,
            runs,
            layout="table" if number % 2 else "column",
            user_id=user_id,
            session_data={"session_name": texts[1]} if number % 3 else {},
            summary={"summary": texts[2], "topics": [texts[3]]},
            metadata={texts[4]: texts[5]},
            agent_data={"name": texts[6]},
        )
        seen += len(texts)
        for path, headers in pages(ada, session_id, user_id):
            problems += [f"{path}: {what}" for what in foreign(body(page, path, **headers))]
    for path in ("/threads/", "/users/", "/activity/", "/memory/", "/edit/", "/remove/"):
        problems += [f"{path}: {what}" for what in foreign(body(page, f"/agents/{ada.pk}{path}"))]
    problems += foreign(body(page, "/agents/"))
    assert seen >= rounds(200, 1000)
    assert not problems, "\n".join(sorted(set(problems))[:40])


@pytest.mark.django_db
def test_a_search_for_a_payload_shows_it_as_text(page: Client, ada: Agent) -> None:
    for text in corpus.payloads()[:60]:
        response = page.get(f"/agents/{ada.pk}/threads/", {"q": text})
        assert response.status_code in (200, 400)
        assert not foreign(response.content.decode())
