"""Transcripts in a browser: anchors, further runs, long values, and all of it without scripts."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Visit

OPS = "/agents/agt-supp2ortbot3/threads/ops-desk/"


def test_older_runs_join_the_page_and_the_focus_goes_to_them(visit: Visit) -> None:
    page = visit.open(OPS)
    runs = page.locator("article.run")
    expect(runs).to_have_count(20)
    page.get_by_role("link", name=re.compile("Older runs")).click()
    expect(runs).to_have_count(40)
    expect(runs.nth(20)).to_be_focused()
    expect(page.get_by_role("link", name=re.compile(r"Older runs \(360\)"))).to_be_visible()


def test_a_link_to_a_run_scrolls_to_it(visit: Visit) -> None:
    page = visit.open(OPS)
    link = page.locator("article.run").nth(12).locator(".times a").get_attribute("href")
    assert link
    anchor = link.partition("#")[2]
    page.goto(link)
    expect(page.locator(f"[id='{anchor}']")).to_be_in_viewport()
    page.goto(f"{OPS}#{anchor}")
    page.reload()
    expect(page.locator(f"[id='{anchor}']")).to_be_in_viewport()


def test_a_wide_table_scrolls_in_its_box_and_keeps_its_alignment(visit: Visit) -> None:
    page = visit.tab(width=390)
    page.goto("/agents/agt-supp2ortbot3/threads/?q=Everything+Markdown")
    page.get_by_role("link", name="Everything Markdown can do here", exact=True).click()
    wide = page.locator(".prose .table").filter(has_text="Week")
    assert wide.evaluate("(box) => box.scrollWidth > box.clientWidth")
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    cells = wide.locator("tbody tr").first.locator("td")
    assert cells.evaluate_all("(cells) => Math.max(...cells.map((cell) => cell.clientHeight))") < 40
    sides = page.locator(".prose .table").filter(has_text="Centre").locator("tbody tr").first.locator("td")
    assert sides.evaluate_all("(cells) => cells.map((cell) => getComputedStyle(cell).textAlign)") == [
        "left",
        "center",
        "right",
    ]


def test_a_message_has_an_anchor(visit: Visit) -> None:
    page = visit.open(OPS)
    anchor = page.locator("article.run").nth(15).locator("[id^='message-']").last.get_attribute("id")
    page.goto(f"{OPS}#{anchor}")
    page.reload()
    expect(page.locator(f"[id='{anchor}']")).to_be_in_viewport()


def test_a_tool_call_opens_by_the_keyboard(visit: Visit) -> None:
    page = visit.open(OPS)
    summary = page.locator("details.tool:not(.quiet) > summary").first
    summary.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("Arguments").first).to_be_visible()


@pytest.mark.parametrize("width", [1280, 390, 320])
def test_facts_are_beside_the_runs_or_folded_above_them(visit: Visit, width: int) -> None:
    page = visit.tab(width=width)
    page.goto(OPS)
    fold = page.get_by_text("About this thread", exact=True)
    if width == 1280:
        expect(fold).to_be_hidden()
    else:
        fold.click()
    expect(page.get_by_text("Last activity").locator("visible=true")).to_have_count(1)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_everything_can_be_read_without_scripts(visit: Visit) -> None:
    page = visit.open(OPS, js=False)
    expect(page.locator("article.run")).to_have_count(20)
    page.get_by_role("link", name=re.compile("Older runs")).click()
    expect(page.locator("article.run")).to_have_count(20)
    page.get_by_role("link", name="Newer runs").click()
    page.get_by_role("link", name="oldest first").click()
    page.get_by_role("link", name="raw text").click()
    expect(page.locator("article.run")).to_have_count(20)
    page.locator("details.tool:not(.quiet) > summary").first.click()
    expect(page.get_by_text("Arguments").first).to_be_visible()
    href = page.get_by_role("link", name="View JSON").first.get_attribute("href")
    assert '"run_id"' in page.request.get(href or "").text()
