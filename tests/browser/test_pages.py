"""Every page, light and dark, wide and narrow: no axe violation, no console error, no sideways scroll."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from tests.browser.conftest import Visit, settled
from tests.browser.pages import OUTSIDE

TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
LOOKS = [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")]


def violations(page: Page, name: str) -> list[str]:
    """What axe and the page's width have against it."""
    found = Axe().run(page, options={"runOnly": {"type": "tag", "values": TAGS}}).response["violations"]
    problems = [
        f"{name}: {v['id']}: {v['help']}: {node['html'][:160]} {node.get('failureSummary', '')[:200]}"
        for v in found
        for node in v["nodes"][:3]
    ]
    return problems + too_wide(page, name)


def too_wide(page: Page, name: str) -> list[str]:
    pixels = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return [f"{name}: scrolls sideways by {pixels} px"] if pixels > 0 else []


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
def test_every_page_is_accessible_and_quiet(visit: Visit, addresses: dict[str, str], width: int, scheme: str) -> None:
    visit.expected = {404}
    problems = []
    page = visit.tab(width=width, scheme=scheme)
    for name, path in addresses.items():
        page.goto(path)
        settled(page)
        problems += violations(page, name)
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
def test_every_page_before_sign_in_is_accessible_and_quiet(visit: Visit, width: int, scheme: str) -> None:
    visit.expected = {410}
    problems = []
    page = visit.tab(width=width, scheme=scheme, signed_in=False)
    for name, path in OUTSIDE.items():
        page.goto(path)
        problems += violations(page, name)
    assert not problems, "\n".join(problems)


def test_every_page_fits_320_pixels(visit: Visit, addresses: dict[str, str]) -> None:
    visit.expected = {404}
    page = visit.tab(width=320)
    wide = []
    for name, path in addresses.items():
        page.goto(path)
        settled(page)
        wide += too_wide(page, name)
    assert not wide
