"""Who waits is told: rows dim, a thin bar stands at the top, and the button says so. Answers here come when told."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.browser.conftest import Visit
from tests.browser.pages import SUPPORT

THREADS = f"/agents/{SUPPORT}/threads/"
MEMORY = f"/agents/{SUPPORT}/memory/"
# the clock stands still; this is when the signs come
SOON = 200


class Held:
    """Requests of a page whose answers wait until `answer` or `fail`."""

    def __init__(self, page: Page, address: str | re.Pattern[str]) -> None:
        self.routes: list[Route] = []
        page.route(address, self.hold)

    def hold(self, route: Route) -> None:
        self.routes.append(route)

    def answer(self) -> None:
        for route in self.routes:
            route.continue_()

    def fail(self, status: int) -> None:
        for route in self.routes:
            route.fulfill(status=status)


def stopped(page: Page) -> None:
    """Stop the page's clock, so that a test says what time it is."""
    page.clock.pause_at(page.evaluate("Date.now()") + 1000)


def bar(page: Page) -> str:
    """How the bar at the top stands, "" if it is not there."""
    style = "getComputedStyle(document.documentElement, '::before')"
    return str(page.evaluate(f"{style}.content === 'none' ? '' : `${{{style}.position}} ${{{style}.height}}`"))


def is_dim(part: Locator) -> bool:
    return float(part.evaluate("(one) => getComputedStyle(one).opacity")) < 0.7


@pytest.fixture
def tab(visit: Visit) -> Iterator[Page]:
    page = visit.tab()
    page.clock.install()
    yield page
    assert page.evaluate("document.documentElement.dataset.waiting") is None
    assert page.locator("[aria-busy]").count() == 0


LISTS = [
    ("/agents/", "#agents", "input[type=search]"),
    (THREADS, "#rows", "thead a"),
    (f"/agents/{SUPPORT}/users/", "#users", "thead a"),
    ("/audit/", "#audit", "select"),
    (f"/agents/{SUPPORT}/activity/", "#audit", "select"),
]


def change(page: Page, control: str) -> None:
    found = page.locator(f"main {control}").first
    if control == "select":
        found.select_option(index=1)
    elif control.startswith("input"):
        found.press("Enter")
    else:
        found.click()


@pytest.mark.parametrize(("path", "part", "control"), LISTS, ids=lambda value: value.strip("/").rpartition("/")[2])
def test_the_rows_of_a_list_dim_after_a_while_and_a_bar_shows(tab: Page, path: str, part: str, control: str) -> None:
    tab.goto(path)
    held = Held(tab, re.compile(r"/(agents|threads|users|audit|activity)/\?"))
    stopped(tab)
    with tab.expect_request(re.compile(r"\?")):
        change(tab, control)
    tab.clock.run_for(SOON - 1)
    assert (bar(tab), is_dim(tab.locator(part))) == ("", False)
    tab.clock.run_for(1)
    assert (bar(tab), is_dim(tab.locator(part))) == ("fixed 3px", True)
    held.answer()
    expect(tab.locator("html")).not_to_have_attribute("data-waiting", "")
    assert (bar(tab), is_dim(tab.locator(part))) == ("", False)


def test_a_quick_answer_shows_nothing(tab: Page) -> None:
    tab.goto(THREADS)
    stopped(tab)
    with tab.expect_response(re.compile(r"sort=")):
        tab.locator("thead a").first.click()
    # the answer is here, and soon in its place
    expect(tab.locator("html")).not_to_have_attribute("data-waiting", "")
    expect(tab.locator("table.threads")).to_have_count(1)
    tab.clock.run_for(60_000)
    assert bar(tab) == ""


def test_a_page_that_is_left_dims(tab: Page) -> None:
    tab.goto(THREADS)
    held = Held(tab, "**/users/")
    stopped(tab)
    with tab.expect_request("**/users/"):
        tab.get_by_role("link", name="Users", exact=True).click()
    tab.clock.run_for(SOON)
    assert (bar(tab), is_dim(tab.locator("main"))) == ("fixed 3px", True)
    held.answer()
    expect(tab).to_have_title("Users · Support Bot · Agent Studio")
    # what was kept for Back is as it was
    tab.go_back()
    expect(tab.locator("table.threads")).to_be_visible()
    assert not is_dim(tab.locator("main"))


def test_nothing_waits_for_a_page_that_was_left(tab: Page) -> None:
    tab.goto("/agents/")
    tab.locator("#agents a.title").first.click()
    expect(tab).to_have_url(re.compile("/memory/$"))
    tab.get_by_role("link", name="Threads", exact=True).click()
    expect(tab.locator("table.threads")).to_be_visible()
    held = Held(tab, re.compile(r"/threads/\?"))
    stopped(tab)
    with tab.expect_request(re.compile(r"/threads/\?")):
        tab.locator("thead a").first.click()
    tab.clock.run_for(SOON)
    assert bar(tab)
    tab.go_back()
    expect(tab).to_have_url(re.compile("/memory/$"))
    held.answer()
    expect(tab.locator("html")).not_to_have_attribute("data-waiting", "")


def test_the_button_that_saves_says_so_and_says_save_again_when_it_failed(visit: Visit, tab: Page) -> None:
    tab.goto(MEMORY)
    tab.get_by_role("button", name="One run more").click()
    save = tab.locator(".savebar button")
    held = Held(tab, "**/memory/")
    stopped(tab)
    save.click()
    tab.clock.run_for(SOON - 1)
    expect(save).to_have_text("Save")
    tab.clock.run_for(1)
    expect(save).to_have_text("Saving…")
    expect(save).to_have_attribute("aria-busy", "true")
    expect(save).to_be_disabled()
    # what was typed stays as readable as it was
    assert not is_dim(tab.locator("#memory"))
    held.fail(503)
    expect(save).to_have_text("Save")
    expect(save).to_be_enabled()
    visit.problems.clear()


def test_the_button_that_deletes_says_so(visit: Visit, tab: Page) -> None:
    tab.goto(THREADS)
    tab.locator("tbody a[data-dialog]").first.click()
    button = tab.get_by_role("dialog").locator("button.danger")
    held = Held(tab, "**/delete-threads/now/")
    stopped(tab)
    button.click()
    tab.clock.run_for(SOON)
    expect(button).to_have_text("Deleting…")
    held.fail(503)
    expect(button).to_have_text("Delete it")
    visit.problems.clear()


def test_a_form_that_loads_a_whole_page_says_so_until_its_reader_has_stopped_it(visit: Visit) -> None:
    page = visit.tab(signed_in=False)
    page.clock.install()
    page.goto("/sign-in/")
    page.get_by_label("Email").fill("nobody@example.com")
    page.get_by_label("Password", exact=True).fill("wrong")
    button = page.get_by_role("button", name=re.compile("^Sign"))
    # the browser stays where it is, as after Escape
    page.route("**/sign-in/", lambda route: route.fulfill(status=204))
    stopped(page)
    with page.expect_request("**/sign-in/"):
        button.click()
    expect(button).to_have_text("Sign in")
    page.clock.run_for(SOON)
    expect(button).to_have_text("Signing in…")
    assert bar(page) == "fixed 3px"
    page.clock.run_for(10_000)
    expect(button).to_have_text("Sign in")
    assert bar(page) == ""
