"""Lists in a browser: filters, selection and deletion, with and without scripts."""

import json
import re
import secrets
import time

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from studio import ids
from tests.browser.conftest import Visit
from tests.browser.pages import SUPPORT
from tests.browser_fixtures import Problems
from tests.server import StudioServer
from tests.world import ODD_IDS

NOW = int(time.time())
# Playwright may not read the clipboard of a page that forbids it.
KEEP_COPIED = "navigator.clipboard.writeText = async (text) => { window.copied = text; }"


@pytest.fixture(scope="module")
def agent_schema(studio_server: StudioServer) -> str:
    return studio_server.create_agent(f"agt-list-{secrets.token_hex(4)}").schema


@pytest.fixture
def schema(studio_server: StudioServer, agent_schema: str) -> str:
    """An agent with 120 threads, of which the newest are `Thread 1`, `Thread 2`, ..."""
    for table in ("agno_sessions", "memory_tombstone"):
        studio_server.sql(f"delete from {table}", schema=agent_schema)
    studio_server.sql(
        "insert into agno_sessions (session_id, session_type, user_id, session_data, runs, created_at, updated_at)"
        " select 's' || n, 'agent', 'user' || n %% 3, jsonb_build_object('session_name', 'Thread ' || n),"
        " jsonb_build_array(jsonb_build_object('run_id', 'r' || n, 'status', case n %% 4 when 0 then 'ERROR' else"
        " 'COMPLETED' end)), %s - n, %s - n from generate_series(1, 120) n",
        NOW,
        NOW,
        schema=agent_schema,
    )
    studio_server.fold(agent_schema)
    return agent_schema


@pytest.fixture
def threads(browser_context: BrowserContext, browser_page: Page, cookies: list[dict[str, str]], schema: str) -> Page:
    browser_context.add_cookies(cookies)  # type: ignore[arg-type]
    browser_page.goto(f"/agents/{schema.removeprefix('ag_').replace('_', '-')}/threads/")
    return browser_page


def left(studio: StudioServer, schema: str) -> int:
    return int(studio.sql("select count(*) from agno_sessions", schema=schema)[0][0])


def test_typing_filters_and_keeps_what_is_typed(threads: Page) -> None:
    search = threads.locator("#threads-q")
    search.press_sequentially("thread 12", delay=20)
    expect(threads.locator("table.threads tbody tr")).to_have_count(2)
    expect(search).to_be_focused()
    expect(search).to_have_value("thread 12")
    expect(threads).to_have_url(re.compile(r"/threads/\?q=thread\+12$"))
    expect(threads.locator(".chip")).to_have_text(["“thread 12”"])
    expect(threads.locator("body > .unseen[role=status]")).to_have_text("2 threads")


def test_filters_add_up_come_off_and_survive_a_reload(threads: Page) -> None:
    threads.get_by_label("Status of the last run").select_option("ERROR")
    threads.get_by_role("checkbox", name="Has errors").check()
    expect(threads.locator(".chip")).to_have_text(["Last run: Error", "Has errors"])
    threads.get_by_role("link", name="Runs", exact=True).click()
    expect(threads).to_have_url(re.compile(r"\?status=ERROR&errors=1&sort=runs$"))
    expect(threads.locator(".pager")).to_contain_text("30 threads")
    threads.reload()
    expect(threads.locator(".chip")).to_have_text(["Last run: Error", "Has errors"])
    threads.get_by_role("link", name="Remove the filter Last run: Error").click()
    expect(threads.get_by_label("Status of the last run")).to_have_value("")
    expect(threads.get_by_role("checkbox", name="Has errors")).to_be_checked()
    threads.go_back()
    expect(threads.get_by_label("Status of the last run")).to_have_value("ERROR")
    threads.get_by_role("link", name="Clear all").click()
    expect(threads.locator(".pager")).to_contain_text("1–50 of 120 threads")


def test_pages_turn_both_ways(threads: Page) -> None:
    threads.get_by_role("link", name="Older").click()
    expect(threads.locator(".pager")).to_contain_text("51–100 of 120 threads")
    threads.get_by_role("link", name="Older").click()
    expect(threads.locator("table.threads tbody tr")).to_have_count(20)
    threads.get_by_role("link", name="Newer").click()
    expect(threads.locator(".pager")).to_contain_text("51–100 of 120 threads")
    threads.get_by_role("link", name="Newer").click()
    expect(threads.locator("a.title").first).to_have_text("Thread 1")


def test_a_stretch_is_picked_with_shift_and_deleted(threads: Page, studio_server: StudioServer, schema: str) -> None:
    bar, boxes = threads.locator(".bulk"), threads.locator("tbody input[type=checkbox]")
    expect(bar).to_be_hidden()
    boxes.nth(1).click()
    boxes.nth(4).click(modifiers=["Shift"])
    expect(bar).to_contain_text("4 threads selected")
    bar.get_by_role("button", name="Delete…").click()
    dialog = threads.get_by_role("dialog")
    expect(dialog).to_contain_text("Delete 4 threads for good?")
    expect(dialog.get_by_role("textbox")).to_be_focused()
    expect(dialog.get_by_role("button", name="Delete 4 threads")).to_be_disabled()
    threads.keyboard.type("4")
    threads.keyboard.press("Enter")
    expect(dialog).to_have_count(0)
    expect(threads.locator("#messages")).to_contain_text("Deleted 4 threads with 4 runs")
    expect(threads.locator(".pager")).to_contain_text("1–50 of 116 threads")
    expect(bar).to_be_hidden()
    assert left(studio_server, schema) == 116
    threads.locator("#messages a").click()
    expect(threads.locator("tr.wanted")).to_contain_text("4 threads")


def test_the_number_is_asked_for_first_also_below_a_list_of_people_that_scrolls(visit: Visit) -> None:
    page = visit.open(f"/agents/{SUPPORT}/threads/")
    page.get_by_role("checkbox", name="Select this page").check()
    page.get_by_role("button", name="Delete…").click()
    dialog = page.get_by_role("dialog")
    assert dialog.locator("dd").first.evaluate("(one) => one.scrollHeight > one.clientHeight")
    expect(dialog.get_by_role("textbox")).to_be_focused()


def test_all_that_match_are_picked_with_two_clicks(threads: Page, studio_server: StudioServer, schema: str) -> None:
    threads.get_by_label("Status of the last run").select_option("COMPLETED")
    expect(threads.locator(".pager")).to_contain_text("of 90 threads")
    threads.get_by_role("checkbox", name="Select this page").check()
    threads.get_by_role("button", name="Select all 90 matching threads").click()
    expect(threads.locator(".bulk")).to_contain_text("All 90 matching threads selected")
    # one off, and it is this page's selection again
    threads.locator("tbody input[type=checkbox]").first.uncheck()
    expect(threads.locator(".bulk")).to_contain_text("49 threads selected")
    threads.locator("tbody input[type=checkbox]").first.check()
    threads.get_by_role("button", name="Select all 90 matching threads").click()
    threads.get_by_role("button", name="Delete…").click()
    threads.get_by_role("dialog").get_by_role("textbox").fill("90")
    threads.get_by_role("dialog").get_by_role("button", name="Delete 90 threads").click()
    expect(threads.get_by_role("heading", name="No thread matches")).to_be_visible()
    assert left(studio_server, schema) == 30


def test_a_dialog_that_is_closed_deletes_nothing_and_gives_the_focus_back(
    threads: Page, studio_server: StudioServer, schema: str
) -> None:
    button = threads.get_by_role("link", name="Delete Thread 7", exact=True)
    for close in ("Escape", "Keep it"):
        button.click()
        dialog = threads.get_by_role("dialog")
        expect(dialog).to_contain_text("Thread 7")
        if close == "Escape":
            threads.keyboard.press("Escape")
        else:
            dialog.get_by_text(close).click()
        expect(dialog).to_have_count(0)
        expect(button).to_be_focused()
    assert left(studio_server, schema) == 120


def test_what_changed_meanwhile_is_said_in_the_same_dialog(
    threads: Page, studio_server: StudioServer, schema: str, browser_problems: Problems
) -> None:
    threads.get_by_role("checkbox", name="Select this page").check()
    threads.get_by_role("button", name="Select all 120 matching threads").click()
    threads.get_by_role("button", name="Delete…").click()
    dialog = threads.get_by_role("dialog")
    expect(dialog).to_contain_text("Delete 120 threads")
    studio_server.sql("delete from agno_sessions where session_id = 's9'", schema=schema)
    dialog.get_by_role("textbox").fill("120")
    dialog.get_by_role("button", name="Delete 120 threads").click()
    expect(dialog).to_contain_text("119 threads match now; it was 120 when you looked.")
    expect(dialog).to_have_count(1)
    dialog.get_by_role("textbox").fill("119")
    dialog.get_by_role("button", name="Delete 119 threads").click()
    expect(threads.get_by_role("heading", name="No threads yet")).to_be_visible()
    # the browser logs every answer that is not a 200
    assert all("409" in problem for problem in browser_problems.found)
    browser_problems.clear()


def test_back_after_a_deletion_from_a_transcript_leads_on(threads: Page, browser_problems: Problems) -> None:
    threads.get_by_role("link", name="Thread 1", exact=True).click()
    threads.get_by_role("link", name="Delete thread…").click()
    threads.get_by_role("dialog").get_by_role("button", name="Delete it").click()
    expect(threads.locator("#messages")).to_contain_text("Deleted 1 thread")
    threads.go_back()
    expect(threads.get_by_role("heading", name="Not found")).to_be_visible()
    threads.get_by_role("link", name="All threads of").click()
    expect(threads.locator(".pager")).to_contain_text("1–50 of 119 threads")
    browser_problems.clear()  # Chromium reports the 404


def test_an_event_is_named_in_one_way_at_each_width(threads: Page) -> None:
    threads.get_by_role("link", name="Activity", exact=True).click()
    threads.set_viewport_size({"width": 390, "height": 900})
    before = threads.locator("td.link").first.evaluate("(cell) => getComputedStyle(cell, '::before').content")
    assert before.replace('"', "") == "event "


def test_a_user_without_threads_left_leads_back_to_the_users(
    threads: Page, studio_server: StudioServer, schema: str
) -> None:
    threads.locator(".people a", has_text="user1").first.click()
    threads.get_by_role("link", name="Delete all 40 owned threads…").click()
    threads.get_by_role("dialog").get_by_role("textbox").fill("40")
    threads.get_by_role("dialog").get_by_role("button", name="Delete 40 threads").click()
    expect(threads).to_have_url(re.compile("/users/$"))
    expect(threads.locator("#messages")).to_contain_text("Deleted 40 threads")
    expect(threads.locator("a.title")).to_have_text(["user2", "user0"])


def test_every_id_opens_copies_and_is_deleted(threads: Page, studio_server: StudioServer, schema: str) -> None:
    threads.add_init_script(KEEP_COPIED)
    base = threads.url.removesuffix("threads/")
    studio_server.sql("delete from agno_sessions", schema=schema)
    for odd in ODD_IDS:
        studio_server.sql(
            "insert into agno_sessions (session_id, session_type, user_id, created_at) values (%s, 'agent', %s, %s)",
            odd,
            odd,
            NOW + 10_000,
            schema=schema,
        )
        threads.goto(f"{base}users/")
        threads.locator("a.title").click()
        threads.get_by_role("button", name="Copy the user's id").click()
        expect(threads.locator("#toasts")).to_contain_text("Copied.")
        assert json.loads(threads.evaluate("JSON.stringify(window.copied)")) == odd
        threads.locator("table.threads a.title").click()
        expect(threads).to_have_url(re.compile(re.escape(f"threads/{ids.encode(odd)}/")))
        threads.goto(f"{base}threads/")
        threads.locator("td.act a").click()
        threads.get_by_role("dialog").get_by_role("button", name="Delete it").click()
        expect(threads.locator("#messages")).to_contain_text("Deleted 1 thread")
        assert left(studio_server, schema) == 0


def test_without_scripts_everything_is_a_page(
    browser_context: BrowserContext, threads: Page, studio_server: StudioServer, schema: str
) -> None:
    address = threads.url
    assert browser_context.browser is not None
    plain = browser_context.browser.new_context(
        java_script_enabled=False, storage_state=browser_context.storage_state()
    )
    page = plain.new_page()
    page.goto(address)
    page.locator("#threads-q").fill("thread 11")
    page.get_by_role("checkbox", name="Has errors").check()
    page.locator("#filters").get_by_role("button", name="Search").click()
    expect(page.locator("a.title")).to_have_text(["Thread 112", "Thread 116"])
    for box in page.locator("tbody input[type=checkbox]").all():
        box.check()
    page.get_by_role("button", name="Delete…").click()
    expect(page.get_by_role("heading", name="Delete 2 threads for good?")).to_be_visible()
    page.get_by_label("Type 2 to confirm").fill("3")
    page.get_by_role("button", name="Delete 2 threads").click()
    expect(page.get_by_text("That is not the number of threads.")).to_be_visible()
    page.get_by_label("Type 2 to confirm").fill("2")
    page.get_by_role("button", name="Delete 2 threads").click()
    expect(page.locator("#messages")).to_contain_text("Deleted 2 threads")
    expect(page).to_have_url(re.compile(r"\?q=thread\+11&errors=1$"))
    page.goto(address)
    page.get_by_role("link", name="Delete all 118 matching threads…").click()
    expect(page.get_by_role("heading", name="Delete 118 threads for good?")).to_be_visible()
    plain.close()
    assert left(studio_server, schema) == 118


def test_names_without_a_place_to_break_leave_room_for_the_rest(
    browser_context: BrowserContext, browser_page: Page, cookies: list[dict[str, str]], studio_server: StudioServer
) -> None:
    long = f"agt-{secrets.token_hex(4)}-{'x' * 40}"
    studio_server.create_agent(long, name="Verkehrsinfrastruktur" * 5)
    browser_context.add_cookies(cookies)  # type: ignore[arg-type]
    browser_page.goto("/audit/")
    scroll, what = browser_page.locator(".scroll"), browser_page.locator("td.what").first
    assert scroll.evaluate("(one) => one.scrollWidth <= one.clientWidth")
    assert what.evaluate("(one) => one.clientWidth") > 300
    browser_page.set_viewport_size({"width": 320, "height": 700})
    browser_page.goto(f"/agents/{long}/memory/")
    # of the lines of an id the beginning is cut off to the left of the name
    left = browser_page.locator("h1").bounding_box()
    lines = browser_page.locator(".head .id").evaluate(
        "(one) => { const all = document.createRange(); all.selectNodeContents(one);"
        " return [...all.getClientRects()].map((line) => line.left) }"
    )
    assert left
    assert len(lines) > 1
    assert min(lines) >= left["x"] - 1
