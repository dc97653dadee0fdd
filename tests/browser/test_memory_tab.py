"""The Memory tab in a browser: what its scripts add to a form that works without them."""

import re
import secrets
import time
from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser.test_pages import TAGS
from tests.browser_fixtures import Problems
from tests.server import StudioServer


@pytest.fixture(scope="module")
def schema_and_path(studio_server: StudioServer) -> tuple[str, str]:
    agent = studio_server.create_agent(f"agt-tab-{secrets.token_hex(4)}")
    studio_server.sql(
        "insert into memory_thread (session_id, runs, tool_calls, run_input_tokens, text_bytes, created_at)"
        " select 't-' || n, n, 2 * n, 200 * n, 100000, %s from generate_series(1, 20) n",
        int(time.time()),
        schema=agent.schema,
    )
    return agent.id, f"/agents/{agent.id}/memory/"


@pytest.fixture
def tab(
    browser_context: BrowserContext,
    browser_page: Page,
    cookies: list[dict[str, str]],
    studio_server: StudioServer,
    schema_and_path: tuple[str, str],
) -> Iterator[Page]:
    """The tab with the default values, whatever the test before saved."""
    agent_id, path = schema_and_path
    studio_server.sql(
        "update studio_memorysettings set session_storage = true, num_history_runs = 10,"
        " max_tool_calls_from_history = 0, session_summaries = false where agent_id = %s",
        agent_id,
    )
    browser_context.add_cookies(cookies)  # type: ignore[arg-type]
    browser_page.goto(path)
    yield browser_page
    # nothing left to ask about when the tab closes
    browser_page.goto("about:blank")


def save_elsewhere(context: BrowserContext, path: str, runs: str) -> None:
    other = context.new_page()
    other.goto(path)
    other.fill("#num_history_runs", runs)
    other.get_by_role("button", name="Save").click()
    expect(other.locator("#toasts")).to_contain_text("Saved as version")
    other.close()


def bar(tab: Page) -> str:
    return " ".join(tab.locator(".savebar .changes").inner_text().split())


def test_the_bar_appears_with_the_first_change_and_says_what_it_is(tab: Page) -> None:
    expect(tab.locator(".savebar")).to_be_hidden()
    tab.get_by_role("button", name="5", exact=True).click()
    assert bar(tab) == "Unsaved changes · No. of history runs 10 → 5"
    tab.fill("#max_tool_calls_from_history", "3")
    tab.get_by_label("Session summaries").check()
    assert bar(tab).endswith("· Max tool calls from history no cap → 3 · Session summaries off → on")
    tab.get_by_role("button", name="10", exact=True).click()
    assert "history runs" not in bar(tab)


def test_discarding_puts_the_saved_values_back(tab: Page) -> None:
    tab.fill("#num_history_runs", "7")
    tab.get_by_label("Session storage").uncheck()
    tab.get_by_role("link", name="Discard").click()
    expect(tab.locator(".savebar")).to_be_hidden()
    expect(tab.locator("#num_history_runs")).to_have_value("10")
    expect(tab.locator("#num_history_runs")).to_be_enabled()
    expect(tab.get_by_label("Session storage")).to_be_checked()
    expect(tab.get_by_label("Session storage")).to_be_focused()


def test_steps_and_arrow_keys_stay_within_the_limits(tab: Page) -> None:
    field = tab.locator("#num_history_runs")
    tab.get_by_role("button", name="One run more").click()
    expect(field).to_have_value("11")
    field.press("ArrowDown")
    field.press("ArrowDown")
    expect(field).to_have_value("9")
    field.fill("1")
    tab.get_by_role("button", name="One run less").click()
    expect(field).to_have_value("1")
    field.fill("1000")
    field.press("ArrowUp")
    expect(field).to_have_value("1000")


def test_the_advice_follows_the_number(tab: Page) -> None:
    advice = tab.locator("#num_history_runs-more")
    expect(advice).to_contain_text("The latest 20 threads have 10 runs at the median and 20 at most")
    expect(advice).to_contain_text("50\u00a0% of them have no more")
    tab.get_by_role("button", name="20", exact=True).click()
    expect(advice).to_contain_text("100\u00a0% of them")
    for nonsense in ("", "many", "0", "1001"):
        tab.fill("#num_history_runs", nonsense)
        expect(advice).to_contain_text("100\u00a0% of them")


RUNS = "Enter a whole number from 1 to 1000, in digits only."
CALLS = "Enter a whole number from 0 to 10000, in digits only."


@pytest.mark.parametrize(
    ("name", "typed", "why"),
    [
        *(("num_history_runs", typed, RUNS) for typed in ("", "many", "1001", "-1", "1.5", "1e3", "9" * 30, "١٠")),
        ("num_history_runs", "0", "0 would not mean none: some versions of Agno then send every run."),
        *(("max_tool_calls_from_history", typed, CALLS) for typed in ("", "x", "10001", "-1")),
    ],
)
def test_what_is_no_number_in_the_range_is_refused_while_it_is_typed(
    tab: Page, name: str, typed: str, why: str
) -> None:
    field, error = tab.locator(f"#{name}"), tab.locator(f"#{name}-error")
    expect(error).to_be_hidden()
    field.fill(typed)
    expect(error).to_contain_text(why)
    expect(field).to_have_attribute("aria-invalid", "true")
    assert not accessibility_problems(tab)
    # nothing is sent: an answer would be a 422, of which the browser complains
    tab.get_by_role("button", name="Save").click()
    expect(field).to_be_focused()
    expect(error).to_contain_text(why)
    field.fill(" 7 ")
    expect(error).to_be_hidden()
    expect(field).not_to_have_attribute("aria-invalid", "true")
    field.fill(typed)
    tab.get_by_role("link", name="Discard").click()
    expect(error).to_be_hidden()


def test_a_wrong_number_that_storage_puts_out_of_use_does_not_keep_one_from_saving(tab: Page) -> None:
    tab.fill("#num_history_runs", "1001")
    tab.get_by_label("Session storage").uncheck()
    tab.get_by_role("button", name="Save").click()
    expect(tab.locator("#toasts")).to_contain_text("Saved as version")


def test_dependants_follow_the_storage_switch_and_are_not_part_of_the_change(tab: Page) -> None:
    tab.fill("#num_history_runs", "7")
    tab.get_by_label("Session storage").uncheck()
    expect(tab.locator("#num_history_runs")).to_be_disabled()
    expect(tab.get_by_label("Session summaries")).to_be_disabled()
    expect(tab.get_by_text("Needs session storage, which is off.").first).to_be_visible()
    assert bar(tab) == "Unsaved changes · Session storage on → off"
    tab.get_by_label("Session storage").check()
    expect(tab.locator("#num_history_runs")).to_be_enabled()
    assert bar(tab) == "Unsaved changes · No. of history runs 10 → 7"


def test_switching_storage_off_reaches_the_header_and_the_sidebar(tab: Page) -> None:
    tab.get_by_label("Session storage").uncheck()
    tab.get_by_role("button", name="Save").click()
    expect(tab.locator("#toasts")).to_contain_text("Saved as version")
    expect(tab.locator("#agent-head")).to_contain_text("storage off")
    expect(tab.locator("#side-agents [aria-current] .dot")).to_have_class(re.compile("off"))
    expect(tab.get_by_label("Session storage")).to_be_focused()
    expect(tab.locator("#memory")).to_contain_text("not used")


def test_the_keyboard_alone_changes_and_saves(tab: Page) -> None:
    tab.locator("#session_storage").focus()
    for _ in range(3):
        tab.keyboard.press("Tab")  # over the first step to the number, and on
        if tab.evaluate("document.activeElement.id") == "num_history_runs":
            break
    tab.keyboard.press("ArrowUp")
    tab.keyboard.press("Enter")
    expect(tab.locator("#toasts")).to_contain_text("Saved as version")
    expect(tab.locator("#num_history_runs")).to_have_value("11")
    expect(tab.locator("#num_history_runs")).to_be_focused()


def test_a_mistake_is_named_beside_the_field_which_gets_the_focus(tab: Page, browser_problems: Problems) -> None:
    # as it comes from a browser that did not look
    tab.fill("#num_history_runs", "0")
    tab.evaluate("document.querySelector('#num_history_runs').removeAttribute('data-wrong')")
    tab.get_by_role("button", name="Save").click()
    expect(tab.locator("#num_history_runs-error")).to_contain_text("Turn session storage off instead.")
    expect(tab.locator("#num_history_runs")).to_be_focused()
    expect(tab.locator("#num_history_runs")).to_have_value("0")
    assert not accessibility_problems(tab)
    tab.get_by_role("link", name="Discard").click()
    expect(tab.locator(".errorlist:visible")).to_have_count(0)
    expect(tab.locator("#num_history_runs")).to_have_value("10")
    browser_problems.clear()  # Chromium reports the 422


def test_two_who_save_at_once_lose_nothing(
    tab: Page, browser_context: BrowserContext, browser_problems: Problems, schema_and_path: tuple[str, str]
) -> None:
    tab.get_by_label("Session summaries").check()
    tab.fill("#num_history_runs", "5")
    save_elsewhere(browser_context, schema_and_path[1], "33")
    tab.get_by_role("button", name="Save").click()
    expect(tab.get_by_role("heading", name="Your changes are not saved yet")).to_be_focused()
    expect(tab.locator(".conflict")).to_contain_text("changed by both")
    assert bar(tab) == "Unsaved changes · No. of history runs 33 → 5 · Session summaries off → on"
    assert not accessibility_problems(tab)
    tab.get_by_role("button", name="Save mine on top").click()
    expect(tab.locator("#toasts")).to_contain_text("Saved as version")
    expect(tab.locator(".conflict")).to_have_count(0)
    expect(tab.locator("#num_history_runs")).to_have_value("5")
    browser_problems.clear()  # Chromium reports the 409


def test_leaving_with_unsaved_changes_asks_first(tab: Page) -> None:
    asked = []
    tab.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.accept()))
    tab.fill("#num_history_runs", "5")
    tab.get_by_role("link", name="Activity").click()
    tab.wait_for_url("**/activity/")
    assert asked == ["beforeunload"]


def test_a_restore_asks_before_it_takes_the_place_of_what_was_typed(tab: Page, studio_server: StudioServer) -> None:
    # those that a test before made up
    studio_server.sql("delete from studio_memorysettingsversion where version > 1000")
    asked: list[str] = []
    tab.on("dialog", lambda dialog: (asked.append(dialog.message), dialog.dismiss()))
    tab.fill("#num_history_runs", "17")
    tab.get_by_role("button", name="Save").click()
    expect(tab.locator("#toasts")).to_contain_text("Saved as version")
    version = tab.locator("#versions li", has=tab.locator("details")).first
    version.locator("summary").click()
    expect(version).to_contain_text("No. of history runs 17 →")
    tab.fill("#num_history_runs", "18")
    version.get_by_role("button").click()
    expect(tab.locator("#num_history_runs")).to_have_value("18")
    assert asked == ["Your unsaved changes will be lost. Go on?"]
    tab.get_by_role("link", name="Discard").click()
    version.get_by_role("button").click()
    expect(tab.locator("#toasts")).to_contain_text("restored from version")
    expect(tab.locator("#versions li").first).to_contain_text("Restored from v")
    expect(tab.get_by_role("heading", name="Versions")).to_be_focused()
    assert len(asked) == 1


def test_older_versions_come_without_losing_what_was_typed(tab: Page, studio_server: StudioServer) -> None:
    agent_id = tab.url.split("/")[-3]
    studio_server.sql(
        "insert into studio_memorysettingsversion (agent_id, version, values, changes, actor, created_at)"
        " select %s, 1000 + n, '{}', '{}', 'Dana', now() from generate_series(1, 15) n on conflict do nothing",
        agent_id,
    )
    tab.reload()
    tab.fill("#num_history_runs", "5")
    tab.get_by_role("link", name="Older versions").click()
    expect(tab.locator("#versions")).to_contain_text("v1005")
    expect(tab.locator("#num_history_runs")).to_have_value("5")
    assert bar(tab) == "Unsaved changes · No. of history runs 10 → 5"
    tab.get_by_role("link", name="Discard").click()


def test_without_scripts_the_form_saves_all_the_same(
    browser: Browser, tab: Page, studio_server: StudioServer, schema_and_path: tuple[str, str]
) -> None:
    context = browser.new_context(base_url=studio_server.url, java_script_enabled=False)
    context.add_cookies(tab.context.cookies())  # type: ignore[arg-type]
    plain = context.new_page()
    plain.goto(schema_and_path[1])
    expect(plain.get_by_role("button", name="One run more")).to_be_hidden()
    plain.fill("#num_history_runs", "4")
    plain.get_by_label("Session storage").uncheck()
    plain.get_by_role("button", name="Save").click()
    expect(plain.locator("#messages")).to_contain_text("Saved as version")
    expect(plain.locator("#num_history_runs")).to_have_value("4")
    expect(plain.locator("#num_history_runs")).to_be_disabled()
    context.close()


def accessibility_problems(page: Page) -> list[str]:
    found = Axe().run(page, options={"runOnly": {"type": "tag", "values": TAGS}}).response["violations"]
    return [f"{v['id']}: {node['html'][:160]}" for v in found for node in v["nodes"]]
