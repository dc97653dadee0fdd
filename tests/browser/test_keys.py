"""Making an API key, in a real browser: the only page that shows it, and what copying gives."""

import re

import pytest
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


# what is on top of something else, and what is beyond the edge
OVERLAPS = """() => {
  const isCut = (one) => getComputedStyle(one).textOverflow === "ellipsis";
  const isShown = (one) => one.checkVisibility() && !one.closest(".unseen") && !isCut(one);
  const parts = [...document.querySelectorAll("main *")].filter(isShown);
  const boxes = parts.flatMap((one) => {
    if (one.matches("input, select, button, a")) return [[one, one.getBoundingClientRect()]];
    return [...one.childNodes].filter((node) => node.nodeType === 3 && node.textContent.trim()).flatMap((node) => {
      const range = document.createRange();
      range.selectNodeContents(node);
      return [...range.getClientRects()].map((box) => [one, box]);
    });
  });
  const words = (one) => `${one.tagName} ${one.textContent.trim().slice(0, 40) || one.name}`;
  const found = boxes.filter(([, box]) => box.right > innerWidth + 1 || box.left < -1).map(([one]) => words(one));
  for (const [a, x] of boxes)
    for (const [b, y] of boxes) {
      if (a === b || a.contains(b) || b.contains(a)) continue;
      const wide = Math.min(x.right, y.right) - Math.max(x.left, y.left);
      const high = Math.min(x.bottom, y.bottom) - Math.max(x.top, y.top);
      if (wide > 2 && high > 4) found.push(`${words(a)} / ${words(b)}`);
    }
  return found;
}"""


@pytest.mark.parametrize("width", [320, 335, 350, 390])
def test_on_a_telephone_nothing_overlaps_and_each_value_has_its_label(visit: Visit, width: int) -> None:
    page = visit.tab(width=width)
    page.goto("/keys/new/")
    page.get_by_label("Only these:").check()
    assert page.evaluate(OVERLAPS) == []
    page.get_by_label("Name").fill("a key with a name that takes more than one line here")
    page.get_by_label("All agents, also those made later").check()
    page.get_by_role("button", name="Make key").click()
    expect(page.locator("#key")).to_be_visible()
    assert page.evaluate(OVERLAPS) == []
    page.goto("/keys/")
    assert page.evaluate(OVERLAPS) == []
    row = page.locator("table.keys tr", has_text="more than one line").first
    labels = "(cells) => cells.map((cell) => getComputedStyle(cell, '::before').content.replaceAll('\"', ''))"
    assert row.locator("td[data-head]").evaluate_all(labels) == ["May", "Agents", "Expires", "Last used"]


def test_the_pages_of_keys_are_marked_in_the_sidebar(visit: Visit) -> None:
    page = visit.open("/keys/")
    link = page.get_by_role("navigation", name="Studio", exact=True).get_by_role("link", name="API keys")
    expect(link).to_have_attribute("aria-current", "page")
    page.get_by_role("link", name="New key").first.click()
    page.get_by_label("Name").fill("marked")
    expect(link).to_have_attribute("aria-current", "true")
    page.get_by_role("button", name="Make key").click()
    expect(page.locator("#key")).to_be_visible()
    expect(link).to_have_attribute("aria-current", "true")
    page.goto("/keys/")
    page.get_by_role("link", name="Revoke").first.click()
    expect(page.get_by_role("heading", name="Revoke")).to_be_visible()
    expect(link).to_have_attribute("aria-current", "true")


def test_on_a_telephone_the_reference_begins_with_what_it_is(visit: Visit) -> None:
    page = visit.tab(width=390)
    page.goto("/api/docs")
    expect(page.get_by_role("heading", name="API of Agent Studio")).to_be_in_viewport()
    expect(page.get_by_role("link", name="List agents")).not_to_be_in_viewport()
    page.get_by_role("link", name="Contents").click()
    expect(page.get_by_role("link", name="List agents")).to_be_in_viewport()


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
