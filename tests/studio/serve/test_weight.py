"""What a browser has to load: compressed, once, and little."""

import re

import httpx

from tests.server import StudioServer

GZIP = {"Accept-Encoding": "gzip"}


def test_a_first_visit_with_its_styles_and_scripts_is_under_60_kb(studio_server: StudioServer) -> None:
    studio_server.create_agent("weighed")
    browser = studio_server.client()
    page = browser.get("/agents/weighed/threads/", headers=GZIP)
    static = sorted(set(re.findall(r'"(/static/[^"]+)"', page.text)))
    files = [httpx.get(studio_server.url + address, headers=GZIP) for address in static]
    assert sum(answer.num_bytes_downloaded for answer in [page, *files]) < 60_000
    scripts = [address for address in static if address.endswith(".js")]
    assert [re.sub(r"\.[0-9a-f]{12}\.", ".", address) for address in scripts] == [
        "/static/django_htmx/htmx-2.min.js",
        "/static/js/pages.js",
        "/static/js/studio.js",
        "/static/js/times.js",
    ]


def test_static_files_are_kept_for_good_and_come_in_brotli_and_gzip(studio_server: StudioServer) -> None:
    page = studio_server.client().get("/agents/")
    style = next(iter(re.findall(r'"(/static/css/[^"]+)"', page.text)))
    for coding in ("br", "gzip"):
        answer = httpx.get(studio_server.url + style, headers={"Accept-Encoding": coding})
        assert answer.headers["Content-Encoding"] == coding
        assert "immutable" in answer.headers["Cache-Control"]
        assert "no-store" not in answer.headers["Cache-Control"]
