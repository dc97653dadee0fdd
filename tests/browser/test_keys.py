"""Making an API key, in a real browser: the only page that shows it, and what copying gives."""

import re

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.conftest import Visit
from tests.browser.pages import SUPPORT

KEY = re.compile(r"ams_[a-z0-9]{8}_[A-Za-z0-9]{43}")


def violations(page: Page) -> list[str]:
    return [f"{found['id']}: {found['nodes'][0]['html'][:160]}" for found in Axe().run(page).response["violations"]]


def test_agents_are_chosen_only_where_that_is_asked_for(visit: Visit) -> None:
    page = visit.open("/keys/new/")
    expect(page.locator(".agents-choice")).to_be_hidden()
    page.get_by_label("Only these:").check()
    expect(page.get_by_label(SUPPORT)).to_be_visible()


def test_the_key_is_shown_once_and_can_be_copied(visit: Visit) -> None:
    page = visit.open("/keys/new/")
    page.get_by_label("Name").fill("laptop")
    page.get_by_role("button", name="Make key").click()
    shown = page.locator("#key").inner_text()
    assert KEY.fullmatch(shown)
    assert violations(page) == []
    page.evaluate("navigator.clipboard.writeText = async (text) => { document.title = text }")
    page.get_by_role("button", name="Copy", exact=True).click()
    expect(page.locator("#toasts")).to_have_text(re.compile("Copied"))
    assert page.title() == shown
    page.get_by_role("link", name="I have it").click()
    expect(page.get_by_text("laptop", exact=True)).to_be_visible()
    assert shown not in page.content()


def test_a_mistake_is_told_and_what_was_typed_stays(visit: Visit) -> None:
    page = visit.open("/keys/new/")
    page.get_by_label("Name").fill("laptop")
    page.get_by_label("Only these:").check()
    page.get_by_role("button", name="Make key").click()
    expect(page.get_by_text("Choose at least one agent, or all of them.")).to_be_visible()
    expect(page.get_by_label("Name")).to_have_value("laptop")
    assert violations(page) == []
    # Chromium reports the page's own 422
    visit.problems.found[:] = [line for line in visit.problems.found if "422" not in line]


def test_the_password_is_shown_on_demand(visit: Visit) -> None:
    page = visit.open(f"/agents/{SUPPORT}/connection/")
    assert "••••••" in page.locator(".secret code").inner_text()
    page.get_by_role("button", name="Show the password").click()
    assert re.fullmatch(r"postgresql://ag_\w+:[A-Za-z0-9]{32}@[\w.]+:\d+/\w+", page.locator("#uri").inner_text())
    assert violations(page) == []


def test_every_operation_of_the_reference_has_an_address(visit: Visit) -> None:
    page = visit.open("/api/docs")
    page.get_by_role("link", name="Delete thread").click()
    expect(page).to_have_url(re.compile("#delete_thread$"))
    expect(page.locator("#delete_thread")).to_be_in_viewport()
