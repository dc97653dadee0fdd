"""What studio.js does on every page."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Page, Route, expect

from studio.formats import since
from tests.browser.conftest import Visit
from tests.browser.pages import SUPPORT

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


@pytest.fixture
def agents(visit: Visit) -> Page:
    """The list of the demo's agents."""
    return visit.open("/agents/")


def test_a_slash_leads_to_the_search_and_the_search_to_the_agent(agents: Page) -> None:
    agents.keyboard.press("/")
    field = agents.get_by_label("Find an agent")
    expect(field).to_be_focused()
    expect(field).to_have_value("")
    agents.keyboard.type("webh")
    expect(agents.locator("#side-agents .name")).to_have_text(["Webhook Enricher"])
    agents.keyboard.press("Tab")
    agents.keyboard.press("Enter")
    agents.wait_for_url(re.compile("/memory/$"))


def test_a_slash_in_a_field_is_a_slash(agents: Page) -> None:
    agents.locator("#q").press_sequentially("a/b")
    expect(agents.locator("#q")).to_have_value("a/b")


def test_searching_the_list_changes_the_address_which_opens_again(agents: Page) -> None:
    agents.locator("#q").fill("support")
    expect(agents.locator("#agents tbody tr")).to_have_count(1)
    agents.wait_for_url("**/agents/?q=support")
    expect(agents.locator("body > .unseen[role=status]")).to_have_text("1 agent on this page")
    agents.reload()
    expect(agents.locator("#q")).to_have_value("support")
    expect(agents.locator("#agents tbody tr")).to_have_count(1)


def test_going_back_shows_what_was_there(agents: Page) -> None:
    before = agents.locator("#agents tbody tr").count()
    agents.locator("#q").fill("support")
    agents.wait_for_url("**/agents/?q=support")
    agents.go_back()
    expect(agents).to_have_url(re.compile("/agents/$"))
    expect(agents.locator("#agents tbody tr")).to_have_count(before)


def test_a_chosen_theme_stays_and_system_gives_it_back(agents: Page) -> None:
    background = "getComputedStyle(document.body).backgroundColor"
    menu = agents.locator("details.menu summary")
    system = agents.evaluate(background)
    menu.click()
    agents.get_by_role("button", name="Dark").click()
    expect(agents.get_by_role("button", name="Dark")).to_have_attribute("aria-pressed", "true")
    dark = agents.evaluate(background)
    assert dark != system
    agents.reload()
    assert agents.evaluate(background) == dark
    menu.click()
    agents.get_by_role("button", name="System").click()
    assert agents.evaluate(background) == system
    agents.emulate_media(color_scheme="dark")
    assert agents.evaluate(background) == dark


def test_the_menu_closes_by_escape_and_by_a_click_elsewhere(agents: Page) -> None:
    menu = agents.locator("details.menu")
    menu.locator("summary").click()
    agents.keyboard.press("Escape")
    expect(menu).not_to_have_attribute("open", "")
    expect(menu.locator("summary")).to_be_focused()
    menu.locator("summary").click()
    agents.get_by_role("heading", level=1).click()
    expect(menu).not_to_have_attribute("open", "")


@pytest.mark.parametrize("clipboard", [True, False])
def test_an_id_is_copied_also_where_scripts_have_no_clipboard(agents: Page, clipboard: bool) -> None:
    if clipboard:
        agents.context.grant_permissions(["clipboard-write"])
    else:
        agents.add_init_script("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
    agents.goto(f"/agents/{SUPPORT}/memory/")
    agents.get_by_role("button", name="Copy the id").click()
    expect(agents.locator("#toasts")).to_contain_text("Copied.")
    agents.get_by_label("Find an agent").focus()
    agents.keyboard.press("Control+V")
    expect(agents.get_by_label("Find an agent")).to_have_value(SUPPORT)


def test_a_failed_request_says_what_to_do(agents: Page, visit: Visit) -> None:
    words = {"503": "The database does not answer", "404": "This is gone", "500": "Something went wrong (500)"}
    agents.route("**/agents/?q=*", lambda route: route.fulfill(status=int(route.request.url[-3:]), body=""))
    for status, said in words.items():
        agents.locator("#q").fill(status)
        expect(agents.locator("#toasts")).to_contain_text(said)
    agents.get_by_role("button", name="Close").click()
    expect(agents.locator("#toasts")).to_be_empty()
    visit.problems.clear()


def test_no_answer_at_all_says_so_too(agents: Page, visit: Visit) -> None:
    def away(route: Route) -> None:
        route.abort("connectionrefused")

    agents.route("**/agents/?q=*", away)
    agents.locator("#q").fill("x")
    expect(agents.locator("#toasts")).to_contain_text("The studio does not answer.")
    visit.problems.clear()


def test_a_session_that_ended_leads_from_a_fragment_to_sign_in_and_back(agents: Page) -> None:
    agents.context.clear_cookies()
    agents.locator("#q").fill("x")
    agents.wait_for_url("**/sign-in/?next=*")
    assert agents.locator("input[name=next]").input_value() == "/agents/"


def test_the_rule_for_an_id_is_explained_while_typing(agents: Page) -> None:
    words = {
        "my-agent": "Its database schema will be ag_my_agent.",
        "My-agent": "Use lower-case letters only.",
        "my agent": "Only letters a to z, digits, - and _ may be used.",
        "-agent": "The first and the last must be a letter or digit.",
        "a" * 59: "59 characters are too many: 58 at most.",
        "": "",
    }
    agents.goto("/agents/new/")
    for typed, said in words.items():
        agents.locator("#id_agent_id").fill(typed)
        expect(agents.locator("[data-agent-id-live]")).to_have_text(said)


def test_removing_waits_for_the_typed_id(agents: Page) -> None:
    agents.goto(f"/agents/{SUPPORT}/remove/")
    button = agents.get_by_role("button", name="Remove agent")
    expect(button).to_be_disabled()
    agents.locator("#confirm").fill("agt-other")
    expect(button).to_be_disabled()
    agents.locator("#confirm").fill(SUPPORT)
    expect(button).to_be_enabled()


def test_times_are_refreshed_in_the_words_of_the_server(agents: Page) -> None:
    seconds = [-90, -30, 0, 59, 60, 3599, 3600, 86_399, 86_400, 129_599, 129_601, 518_400, 604_800, 86_400 * 365]
    for ago in seconds:
        at = NOON - timedelta(seconds=ago)
        there = agents.evaluate(
            "([at, now]) => since(new Date(at * 1000), new Date(now * 1000))", [at.timestamp(), NOON.timestamp()]
        )
        assert there == since(at, NOON), ago


@pytest.mark.parametrize("width", [320, 350, 390])
def test_the_open_tab_is_in_sight_where_not_all_fit(visit: Visit, width: int) -> None:
    page = visit.tab(width=width)
    for tab in ("memory", "activity"):
        page.goto(f"/agents/{SUPPORT}/{tab}/")
        box = page.locator(".tabs [aria-current]").bounding_box()
        assert box
        assert 0 <= box["x"] <= width - box["width"]
