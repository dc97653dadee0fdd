"""The whole walk in real Chromium, from the sign-in link to a deletion: once by mouse, once by keyboard alone."""

import re

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from tests.browser.conftest import Visit
from tests.browser.pages import RESEARCH, SUPPORT
from tests.browser_fixtures import LISTEN_FOR_CSP
from tests.server import StudioServer


class Mouse:
    def __init__(self, page: Page) -> None:
        self.page = page

    def press(self, where: Locator) -> None:
        where.click()

    def write(self, where: Locator, text: str) -> None:
        where.fill(text)


class Keyboard:
    """Reach everything by Tab, act by Enter and Space: the mouse is never used."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def press(self, where: Locator) -> None:
        self._reach(where)
        is_switch = where.evaluate("e => e.matches('input[type=checkbox]')")
        self.page.keyboard.press("Space" if is_switch else "Enter")

    def write(self, where: Locator, text: str) -> None:
        self._reach(where)
        self.page.keyboard.press("Control+A")
        self.page.keyboard.type(text)

    def _reach(self, where: Locator) -> None:
        where.wait_for()
        for _ in range(400):
            if where.evaluate("e => e === document.activeElement"):
                assert where.evaluate("e => e.matches(':focus-visible')"), "focus cannot be seen"
                return
            self.page.keyboard.press("Tab")
        raise AssertionError(f"Tab does not reach {where}")


@pytest.fixture
def page(visit: Visit, demo_studio: StudioServer) -> Page:
    context: BrowserContext = visit.browser.new_context(
        base_url=demo_studio.url, viewport={"width": 1280, "height": 900}
    )
    context.add_init_script(LISTEN_FOR_CSP)
    page = context.new_page()
    visit.problems.watch(page)
    return page


@pytest.mark.parametrize("hand", [Mouse, Keyboard])
def test_an_admin_tunes_two_agents_and_deletes_a_users_thread(
    page: Page, demo_studio: StudioServer, hand: type[Mouse] | type[Keyboard]
) -> None:
    do = hand(page)
    page.goto(demo_studio.sign_in_link())
    do.press(page.locator("main").get_by_role("button", name="Sign in"))
    expect(page.get_by_role("heading", name="Agents", exact=True)).to_be_visible()

    # session storage off for one agent
    do.press(page.locator("main").get_by_role("link", name="Research Analyst"))
    was_on = page.get_by_role("switch", name="Session storage").is_checked()
    do.press(page.get_by_role("switch", name="Session storage"))
    do.press(page.get_by_role("button", name="Save"))
    expect(page.locator("#toasts")).to_contain_text("Saved as version")
    expect(page.locator("#agent-head")).to_contain_text("storage off" if was_on else "storage on")
    (row,) = demo_studio.sql("select session_storage from studio_memorysettings where agent_id = %s", RESEARCH)
    assert row[0] is not was_on

    # another's history depth
    do.press(page.get_by_role("navigation").get_by_role("link", name="Support Bot").first)
    # until it is there, the form is another agent's
    expect(page.get_by_role("heading", name="Support Bot", level=1)).to_be_visible()
    depth = page.get_by_role("textbox", name="No. of history runs")
    wanted = str(int(depth.input_value()) + 3)
    do.write(depth, wanted)
    expect(page.get_by_text("Unsaved changes")).to_be_visible()
    do.press(page.get_by_role("button", name="Save"))
    expect(page.locator("#toasts")).to_contain_text("Saved as version")
    expect(page.locator("dd code").filter(has_text=re.compile(f"^{wanted}$"))).to_be_visible()

    # a user's thread
    do.press(page.get_by_role("navigation", name="Support Bot").get_by_role("link", name="Users"))
    do.write(page.locator("main").get_by_role("searchbox"), "carmen")
    do.press(page.get_by_role("link", name="carmen.vidal@example.com"))
    # the list before it has titles, too
    expect(page.get_by_role("heading", name="carmen.vidal@example.com")).to_be_visible()
    do.press(page.locator("main a.title").first)
    expect(page.locator("article.run").first).to_be_visible()
    thread = page.url.rsplit("/", 2)[1].split("?")[0]
    before = demo_studio.sql("select count(*) from agno_sessions", schema="ag_" + SUPPORT.replace("-", "_"))

    # read, then deleted for good
    do.press(page.locator("main").get_by_role("link", name=re.compile("^Delete thread")).last)
    do.press(page.get_by_role("dialog").get_by_role("button", name="Delete it"))
    expect(page.locator("#messages")).to_contain_text("Deleted 1 thread")
    after = demo_studio.sql("select count(*) from agno_sessions", schema="ag_" + SUPPORT.replace("-", "_"))
    assert before[0][0] - after[0][0] == 1
    answer = page.request.get(f"/agents/{SUPPORT}/threads/{thread}/")
    assert answer.status == 404
    page.context.close()


def test_the_walk_works_without_javascript(visit: Visit) -> None:
    page = visit.open(f"/agents/{SUPPORT}/memory/", js=False)
    depth = page.get_by_role("textbox", name="No. of history runs")
    depth.fill("7" if depth.input_value() != "7" else "8")
    wanted = depth.input_value()
    page.get_by_role("button", name="Save").click()
    expect(page.locator("dd code").filter(has_text=re.compile(f"^{wanted}$"))).to_be_visible()
    page.get_by_role("link", name="Threads", exact=True).first.click()
    page.locator("main a.title").nth(5).click()
    page.wait_for_url(re.compile("/threads/[^/?]+/"))
    show = page.get_by_role("link", name=re.compile("runs", re.IGNORECASE))
    if not page.locator("article.run").count():
        show.first.click()
    expect(page.locator("article.run").first).to_be_visible()
    page.get_by_role("link", name=re.compile("^Delete thread")).last.click()
    page.locator("main").get_by_role("button", name="Delete it").click()
    expect(page.locator("#messages")).to_contain_text("Deleted 1 thread")
    page.context.close()
