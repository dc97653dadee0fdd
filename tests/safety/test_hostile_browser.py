"""Payloads in real Chromium, without the CSP that would stop them: nothing fires. With it: no report."""

import json
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, Route

from studio.ids import encode
from tests.rounds import rounds
from tests.safety import corpus
from tests.server import ServedAgent, StudioServer
from tests.world import NOW

PAYLOADS = rounds(240, 600)
PER_THREAD = 20

# What a payload would do first: open a dialog, send something, go somewhere, leave a mark on window.
HOOKS = """
    window.fired = [];
    const note = (what) => (...details) => { window.fired.push(what + ' ' + details.join(' ').slice(0, 200)); };
    for (const name of ['alert', 'confirm', 'prompt', 'print', 'open']) window[name] = note(name);
    navigator.sendBeacon = note('beacon');
    const ownFetch = window.fetch;
    window.fetch = (...details) => { note('fetch')(...details); return ownFetch(...details); };
    const ownOpen = XMLHttpRequest.prototype.open;
    XMLHttpRequest.prototype.open = function (method, url, ...rest) {
        if (!/^\\/agents\\/hostile\\/threads\\//.test(new URL(url, location).pathname)) note('request')(method, url);
        return ownOpen.call(this, method, url, ...rest);
    };
    window.known = new Set();
    addEventListener('DOMContentLoaded', () => { window.known = new Set(Object.getOwnPropertyNames(window)); });
"""

MARKS = """() => [
    ...window.fired,
    ...Object.getOwnPropertyNames(window)
        .filter((name) => !window.known.has(name) && !/^(htmx|onscroll|\\d+$)/.test(name)),
]"""


@pytest.fixture(scope="module")
def hostile(studio_server: StudioServer) -> ServedAgent:
    """An agent whose threads hold the payloads in every stored field, written as an agent writes."""
    agent = studio_server.create_agent("hostile", name="<img src=x onerror=window.stolen=1>")
    for number, texts in enumerate(corpus.batches(corpus.payloads()[:PAYLOADS], PER_THREAD)):
        runs = [corpus.hostile_run(f"{number}-{n}", text) for n, text in enumerate(texts)]
        studio_server.sql(
            "insert into agno_sessions (session_id, session_type, user_id, session_data, runs, summary, created_at)"
            " values (%s, 'agent', %s, %s, %s, %s, %s)",
            f"{number} {texts[0][:300]}",
            texts[1][:300],
            json.dumps({"session_name": texts[2]} if number % 2 else {}),
            json.dumps(runs),
            json.dumps({"summary": texts[3]}),
            NOW + number,
            schema=agent.schema,
        )
    return agent


@pytest.fixture
def bare_page(browser: Browser, studio_server: StudioServer) -> Iterator[Page]:
    """A signed-in tab whose pages come without their Content-Security-Policy."""
    context = browser.new_context(base_url=studio_server.url)
    jar = studio_server.client().cookies.jar
    context.add_cookies([{"name": c.name, "value": c.value or "", "domain": "127.0.0.1", "path": "/"} for c in jar])
    context.add_init_script(HOOKS)

    def without_policy(route: Route) -> None:
        if route.request.resource_type != "document":
            route.continue_()
            return
        response = route.fetch()
        headers = {name: value for name, value in response.headers.items() if "security-policy" not in name}
        route.fulfill(response=response, headers=headers)

    page = context.new_page()
    page.route("**/*", without_policy)
    yield page
    context.close()


def threads_of(studio: StudioServer, agent: ServedAgent) -> list[str]:
    rows = studio.sql("select session_id from memory_thread order by last_at", schema=agent.schema)
    return [f"/agents/{agent.id}/threads/{encode(row[0])}/" for row in rows]


@pytest.mark.attack
def test_no_payload_fires_without_the_policy(
    bare_page: Page, studio_server: StudioServer, hostile: ServedAgent
) -> None:
    dialogs: list[str] = []
    bare_page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    fired = []
    paths = threads_of(studio_server, hostile)
    base = f"/agents/{hostile.id}"
    for path in [*paths, f"{base}/threads/", f"{base}/users/", f"{base}/memory/", "/agents/"]:
        bare_page.goto(path)
        where = bare_page.url
        bare_page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
        bare_page.mouse.move(600, 300)
        bare_page.keyboard.press("Tab")
        fired += [f"{path}: {mark}" for mark in bare_page.evaluate(MARKS)]
        if bare_page.url != where:
            fired.append(f"{path}: went to {bare_page.url}")
    assert len(paths) * PER_THREAD >= PAYLOADS
    assert (fired, dialogs) == ([], [])


def test_the_hooks_hear_a_payload_that_fires(bare_page: Page) -> None:
    bare_page.goto("/agents/")
    bare_page.evaluate(
        "document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.stolen=1;alert(2)\">')"
    )
    bare_page.wait_for_function("window.stolen")
    marks = bare_page.evaluate(MARKS)
    assert "stolen" in marks
    assert "alert 2" in marks


def test_htmx_attributes_do_nothing_even_unsanitised(
    bare_page: Page, studio_server: StudioServer, hostile: ServedAgent
) -> None:
    """As if the sanitiser let everything through: raw payloads inside the block that holds messages."""
    asked: list[str] = []
    bare_page.on("request", lambda request: asked.append(request.url) if "/stolen" in request.url else None)
    bare_page.goto(threads_of(studio_server, hostile)[0])
    raw = [text for text in corpus.HTMX if "hx-" in text]
    bare_page.evaluate(
        """(raw) => {
            const block = document.querySelector('[hx-disable]');
            if (!block) throw new Error('no block is hx-disabled');
            block.innerHTML = raw.join('');
            htmx.process(document.body);
            for (const one of block.querySelectorAll('a, form input')) one.click();
        }""",
        raw,
    )
    bare_page.wait_for_timeout(500)
    assert asked == []
    assert not bare_page.evaluate("window.stolen")


def test_our_own_pages_make_no_report_with_hostile_content(
    signed_in_page: Page, studio_server: StudioServer, hostile: ServedAgent
) -> None:
    for path in [
        *threads_of(studio_server, hostile)[:12],
        f"/agents/{hostile.id}/threads/",
        f"/agents/{hostile.id}/users/",
    ]:
        signed_in_page.goto(path)
