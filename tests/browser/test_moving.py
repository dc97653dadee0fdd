"""Moving between pages: by links that leave the sidebar in place, by Back and Forward, and after signing out."""

import re
import secrets
from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import BrowserContext, Page, Route, expect

from tests.browser.conftest import Visit
from tests.browser.pages import RESEARCH, SUPPORT
from tests.browser.test_pages import TAGS
from tests.browser_fixtures import Problems
from tests.server import StudioServer

THREADS = f"/agents/{SUPPORT}/threads/"


def mark(page: Page) -> None:
    """Leave something in the document, to see later whether it is the same."""
    page.evaluate("window.marked = true")


def is_same(page: Page) -> bool:
    return bool(page.evaluate("window.marked === true"))


def focus(page: Page) -> str:
    return str(page.evaluate("document.activeElement.id"))


@pytest.fixture
def threads(visit: Visit) -> Page:
    page = visit.open(THREADS)
    mark(page)
    return page


class TestLinks:
    def test_the_sidebar_stays_and_all_else_is_the_page_s(self, threads: Page) -> None:
        threads.evaluate("scrollTo(0, 400)")
        threads.get_by_role("link", name="Users", exact=True).click()
        expect(threads).to_have_title("Users · Support Bot · Agent Studio")
        expect(threads).to_have_url(re.compile("/users/$"))
        expect(threads.locator("nav.tabs [aria-current=page]")).to_have_text("Users")
        expect(threads.locator("body > .unseen[role=status]")).to_have_text("Users · Support Bot · Agent Studio")
        assert focus(threads) == "main"
        assert threads.evaluate("scrollY") == 0
        assert threads.locator("main").count() == 1
        assert is_same(threads)
        found = Axe().run(threads, options={"runOnly": {"type": "tag", "values": TAGS}}).response["violations"]
        assert not found

    def test_the_sidebar_marks_where_one_is(self, threads: Page) -> None:
        side = threads.locator(".side [aria-current]:visible")
        expect(side).to_contain_text("Support Bot")
        threads.locator(".side").get_by_role("link", name=re.compile("Research Analyst")).click()
        expect(side).to_have_count(1)
        expect(side).to_contain_text("Research Analyst")
        threads.locator(".studio-links").get_by_role("link", name="Audit").click()
        expect(threads).to_have_title("Audit · Agent Studio")
        expect(side).to_have_text("Audit")
        assert is_same(threads)
        # it says the same as the server
        threads.reload()
        expect(side).to_have_text("Audit")

    def test_the_open_menu_closes(self, threads: Page) -> None:
        threads.locator("details.menu summary").click()
        threads.get_by_role("link", name="Your account").click()
        expect(threads.get_by_role("heading", name="Your account")).to_be_visible()
        expect(threads.locator("details.menu")).not_to_have_attribute("open", "")
        assert is_same(threads)

    def test_scripts_work_on_the_page_that_came(self, threads: Page) -> None:
        threads.get_by_role("link", name="Memory", exact=True).click()
        threads.get_by_role("button", name="One run more").click()
        expect(threads.get_by_text("Unsaved changes")).to_be_visible()
        threads.get_by_role("link", name="Discard").click()
        threads.locator(".brand").click()
        threads.locator("#q").fill("support")
        expect(threads.locator("#agents tbody tr")).to_have_count(1)
        threads.locator("#agents a.title").click()
        expect(threads).to_have_url(re.compile("/memory/$"))
        assert is_same(threads)

    def test_the_second_of_two_links_wins(self, threads: Page) -> None:
        threads.evaluate("[...document.querySelectorAll('nav.tabs a')].slice(2).forEach((link) => link.click())")
        expect(threads).to_have_title("Activity · Support Bot · Agent Studio")
        threads.wait_for_load_state("networkidle")
        expect(threads).to_have_url(re.compile("/activity/$"))

    def test_an_answer_for_the_page_that_was_left_changes_nothing(self, threads: Page) -> None:
        held: list[Route] = []

        def hold(route: Route) -> None:
            held.append(route)

        threads.route("**/threads/?q=*", hold)
        with threads.expect_request("**/threads/?q=*"):
            threads.locator("#threads-q").fill("refund")
        threads.get_by_role("link", name="Users", exact=True).click()
        expect(threads).to_have_title("Users · Support Bot · Agent Studio")
        with threads.expect_response("**/threads/?q=*"):
            held[0].continue_()
        threads.wait_for_load_state("networkidle")
        expect(threads).to_have_url(re.compile("/users/$"))
        expect(threads.locator("table.users")).to_be_visible()

    def test_a_link_leads_on_though_its_list_was_read_anew_meanwhile(self, threads: Page) -> None:
        held: list[Route] = []
        threads.route(re.compile(r"/threads/[^/?]+/$"), lambda route: held.append(route))
        link = threads.locator("main a.title").first
        address = link.get_attribute("href") or ""
        with threads.expect_request(f"**{address}"):
            link.click()
        threads.locator("#threads-q").fill("no thread has this")
        expect(threads.locator(f"main a[href='{address}']")).to_have_count(0)
        held[0].continue_()
        expect(threads).to_have_url(re.compile(f"{address}$"))
        expect(threads.locator("article.run").first).to_be_visible()

    @pytest.mark.parametrize("name", ["API keys", "connection", "unknown agent", "a place on a page"])
    def test_what_differs_beyond_its_main_is_loaded_as_a_whole(self, threads: Page, name: str) -> None:
        if name == "API keys":
            threads.locator(".studio-links").get_by_role("link", name=name).click()
            threads.wait_for_url("**/keys/")
        elif name == "connection":
            threads.get_by_role("link", name="Edit agent").click()
            expect(threads.get_by_role("heading", name="Edit")).to_be_visible()
            assert is_same(threads)
            threads.locator("main a[href$='/connection/']").click()
            threads.wait_for_url("**/connection/")
        elif name == "unknown agent":
            threads.locator(".brand").click()
            expect(threads).to_have_title("Agents · Agent Studio")
            threads.evaluate(f"document.querySelector('#side-agents a[href*={RESEARCH}]').remove()")
            threads.locator("main a.title", has_text="Research Analyst").click()
            threads.wait_for_url(f"**/{RESEARCH}/memory/")
            expect(threads.locator("#side-agents [aria-current]")).to_contain_text("Research Analyst")
        else:
            threads.get_by_role("link", name="Activity", exact=True).click()
            threads.locator("td.link a").first.click()
            threads.wait_for_url("**/activity/?event=*#event-*")
            expect(threads.locator("tr:target")).to_be_in_viewport()
        assert not is_same(threads)

    def test_a_file_is_downloaded_once_and_the_page_stays(self, threads: Page, demo_studio: StudioServer) -> None:
        count = "select count(*) from studio_auditevent where action = 'thread.export'"
        before = demo_studio.sql(count)[0][0]
        threads.locator("main a.title").nth(5).click()
        with threads.expect_download() as download:
            threads.get_by_role("link", name="Download JSON").last.click()
        assert download.value.suggested_filename.endswith(".json")
        expect(threads.locator("article.run").first).to_be_visible()
        assert demo_studio.sql(count)[0][0] == before + 1
        assert is_same(threads)

    def test_an_error_is_a_page(self, threads: Page, visit: Visit) -> None:
        visit.expected = {404}
        threads.evaluate("document.querySelector('nav.tabs a').setAttribute('href', '/agents/agt-none/memory/')")
        threads.evaluate(f"document.querySelector('#side-agents a').href = '/agents/{SUPPORT}/threads/none/'")
        threads.locator("#side-agents a").first.click()
        expect(threads.get_by_role("heading", name="Not found")).to_be_visible()
        expect(threads).to_have_title("Not found · Agent Studio")
        expect(threads.locator(".side")).to_be_visible()
        assert is_same(threads)

    def test_a_session_that_ended_leads_to_sign_in_and_on_to_the_page(self, threads: Page) -> None:
        threads.context.clear_cookies()
        threads.get_by_role("link", name="Users", exact=True).click()
        threads.wait_for_url("**/sign-in/?next=**")
        assert threads.locator("input[name=next]").input_value() == f"/agents/{SUPPORT}/users/"


class TestHaste:
    """Who does a second thing before the first is answered. The address always says what the list shows."""

    @pytest.fixture
    def held(self, threads: Page) -> list[Route]:
        """Hold what htmx asks for from now on, in the order in which it was asked."""
        held: list[Route] = []
        threads.route(
            re.compile("/agents/"),
            lambda route: held.append(route) if route.request.headers.get("hx-request") else route.continue_(),
        )
        return held

    @staticmethod
    def answer(page: Page, held: list[Route], count: int) -> None:
        for _ in range(100):
            if len(held) >= count:
                break
            page.wait_for_timeout(50)
        assert len(held) == count
        for route in held:
            route.continue_()
            page.wait_for_timeout(200)
        page.wait_for_load_state("networkidle")

    @staticmethod
    def sorted_by(page: Page) -> str:
        return page.locator("th[aria-sort]").inner_text().strip()

    def test_the_second_of_two_orders_wins(self, threads: Page, held: list[Route]) -> None:
        for name in ("Runs", "Tokens"):
            threads.get_by_role("link", name=name, exact=True).click()
        self.answer(threads, held, 2)
        expect(threads).to_have_url(re.compile(r"\?sort=tokens$"))
        assert self.sorted_by(threads) == "Tokens"
        expect(threads.get_by_label("Sort by")).to_have_value("tokens")

    @pytest.mark.parametrize("typed_before", [0, 400])
    def test_a_search_and_an_order_at_once_are_both_there(
        self, threads: Page, held: list[Route], typed_before: int
    ) -> None:
        threads.locator("#threads-q").fill("order")
        threads.wait_for_timeout(typed_before)
        threads.get_by_role("link", name="Runs", exact=True).click()
        # before the search is asked for, after the order it is asked for with it
        self.answer(threads, held, 2)
        expect(threads).to_have_url(re.compile(r"\?q=order&sort=runs$"))
        assert self.sorted_by(threads) == "Runs"
        expect(threads.locator(".chip")).to_contain_text("order")

    def test_an_older_page_and_the_field_agree(self, threads: Page, held: list[Route]) -> None:
        threads.locator("#threads-q").fill("order")
        threads.wait_for_timeout(400)
        threads.get_by_role("link", name="Older", exact=True).click()
        self.answer(threads, held, 2)
        expect(threads).to_have_url(re.compile(r"\?cursor="))
        expect(threads.locator("#threads-q")).to_have_value("")
        expect(threads.locator(".chip")).to_have_count(0)

    def test_two_orders_of_users(self, threads: Page, held: list[Route]) -> None:
        threads.goto("/agents/agt-supp2ortbot3/users/")
        threads.get_by_role("searchbox", name="Search ids").fill("a")
        threads.wait_for_timeout(400)
        for name in ("Threads", "Runs"):
            threads.locator("main").get_by_role("table").get_by_role("link", name=name, exact=True).click()
        self.answer(threads, held, 3)
        expect(threads).to_have_url(re.compile(r"\?q=a&sort=runs$"))
        assert self.sorted_by(threads) == "Runs"

    @pytest.mark.parametrize("how", ["twice", "two threads", "many twice"])
    def test_there_is_one_question(self, threads: Page, held: list[Route], how: str) -> None:
        links = threads.locator("tbody a[data-dialog]")
        if how == "many twice":
            threads.locator("tbody input[type=checkbox]").first.check()
            button = threads.get_by_role("button", name="Delete…")
            button.click()
            button.click()
        else:
            links.first.click()
            links.nth(1 if how == "two threads" else 0).click()
        self.answer(threads, held, 2 if how == "two threads" else 1)
        expect(threads.locator("dialog")).to_have_count(1)
        threads.keyboard.press("Escape")
        expect(threads.locator("dialog")).to_have_count(0)

    @pytest.mark.parametrize("to", ["another page", "another list"])
    def test_a_question_for_what_was_left_is_not_asked(self, threads: Page, held: list[Route], to: str) -> None:
        if to == "another page":
            threads.locator("tbody a[data-dialog]").first.click()
            threads.get_by_role("link", name="Users", exact=True).click()
        else:
            threads.locator("tbody input[type=checkbox]").first.check()
            threads.locator("#threads-q").fill("order")
            threads.wait_for_timeout(400)
            threads.get_by_role("button", name="Delete…").click()
        self.answer(threads, held, 2)
        expect(threads).to_have_url(re.compile("/users/$" if to == "another page" else r"\?q=order$"))
        expect(threads.locator("dialog")).to_have_count(0)

    def test_back_closes_the_question(self, threads: Page) -> None:
        threads.get_by_role("link", name="Users", exact=True).click()
        expect(threads).to_have_url(re.compile("/users/$"))
        threads.get_by_role("link", name="Threads", exact=True).first.click()
        threads.locator("tbody a[data-dialog]").first.click()
        expect(threads.locator("dialog")).to_be_visible()
        threads.go_back()
        expect(threads).to_have_url(re.compile("/users/$"))
        expect(threads.locator("dialog")).to_have_count(0)

    def test_a_question_goes_with_its_page(self, threads: Page) -> None:
        held: list[Route] = []
        threads.route("**/activity/", lambda route: held.append(route))
        threads.get_by_role("link", name="Activity", exact=True).first.click()
        threads.locator("tbody a[data-dialog]").first.click()
        expect(threads.locator("dialog")).to_be_visible()
        self.answer(threads, held, 1)
        expect(threads).to_have_url(re.compile("/activity/$"))
        expect(threads.locator("dialog")).to_have_count(0)

    def test_what_nobody_waits_for_fails_in_silence(self, threads: Page, visit: Visit) -> None:
        held: list[Route] = []
        threads.route("**/users/", lambda route: held.append(route))
        threads.get_by_role("link", name="Users", exact=True).click()
        threads.get_by_role("link", name="Activity", exact=True).first.click()
        expect(threads).to_have_url(re.compile("/activity/$"))
        held[0].abort()
        threads.wait_for_load_state("networkidle")
        expect(threads.locator(".toast")).to_have_count(0)
        # the browser itself says it
        visit.problems.found.clear()

    def test_a_double_click_asks_once_and_the_page_itself_is_no_step(self, threads: Page) -> None:
        asked: list[str] = []
        threads.on("request", lambda request: asked.append(request.url) if "/users/" in request.url else None)
        threads.get_by_role("link", name="Users", exact=True).dblclick()
        expect(threads).to_have_url(re.compile("/users/$"))
        threads.wait_for_load_state("networkidle")
        assert len(asked) == 1
        steps = threads.evaluate("history.length")
        threads.get_by_role("link", name="Users", exact=True).click()
        threads.wait_for_load_state("networkidle")
        assert (len(asked), threads.evaluate("history.length")) == (2, steps)

    def test_back_takes_back_a_link_that_is_not_answered_yet(self, threads: Page) -> None:
        threads.get_by_role("link", name="Users", exact=True).click()
        expect(threads).to_have_url(re.compile("/users/$"))
        threads.get_by_role("link", name="Threads", exact=True).first.click()
        expect(threads.locator("a.title").first).to_be_visible()
        held: list[Route] = []
        threads.route(re.compile(r"/threads/[^/?]+/$"), lambda route: held.append(route))
        threads.locator("main a.title").first.click()
        threads.go_back()
        expect(threads).to_have_url(re.compile("/users/$"))
        self.answer(threads, held, 1)
        expect(threads).to_have_url(re.compile("/users/$"))
        expect(threads.locator("table.users")).to_be_visible()
        # and it can be followed again
        threads.unroute_all()
        threads.go_forward()
        threads.locator("main a.title").first.click()
        expect(threads.locator("article.run").first).to_be_visible()


class TestBack:
    def test_the_list_is_there_at_once_where_one_was(self, threads: Page) -> None:
        link = threads.locator("main a.title").nth(20)
        link.scroll_into_view_if_needed()
        title, scrolled = link.inner_text(), threads.evaluate("scrollY")
        link.click()
        expect(threads.locator("article.run").first).to_be_visible()
        threads.go_back()
        expect(threads).to_have_title("Threads · Support Bot · Agent Studio")
        expect(threads).to_have_url(re.compile("/threads/$"))
        threads.wait_for_load_state("networkidle")
        expect(threads.locator("table.threads tbody tr")).to_have_count(50)
        assert threads.evaluate("document.activeElement.textContent") == title
        assert threads.evaluate("scrollY") == scrolled
        assert is_same(threads)
        # and works as it did
        threads.locator("#threads-q").fill("ops desk")
        expect(threads.locator("table.threads tbody tr")).to_have_count(1)

    def test_forward_reads_a_transcript_anew(self, threads: Page, demo_studio: StudioServer) -> None:
        count = "select count(*) from studio_auditevent where action = 'thread.read'"
        before = demo_studio.sql(count)[0][0]
        threads.locator("main a.title").first.click()
        expect(threads.locator("article.run").first).to_be_visible()
        threads.go_back()
        expect(threads.locator("table.threads")).to_be_visible()
        threads.go_forward()
        expect(threads.locator("article.run").first).to_be_visible()
        threads.wait_for_load_state("networkidle")
        assert demo_studio.sql(count)[0][0] == before + 2

    def test_a_whole_walk_back_leads_through_every_page(self, threads: Page) -> None:
        for tab in ("Users", "Activity", "Memory"):
            threads.get_by_role("link", name=tab, exact=True).click()
            expect(threads.locator("nav.tabs [aria-current]")).to_have_text(tab)
        for tab in ("Activity", "Users", "Threads"):
            threads.go_back()
            expect(threads.locator("nav.tabs [aria-current]")).to_have_text(tab)
        threads.go_forward()
        expect(threads.locator("nav.tabs [aria-current]")).to_have_text("Users")
        assert is_same(threads)

    def test_a_filter_that_one_came_from_is_there_again(self, threads: Page) -> None:
        threads.locator("#threads-q").fill("refund")
        threads.wait_for_url("**/threads/?q=refund")
        threads.locator("main a.title").first.click()
        expect(threads.locator("article.run").first).to_be_visible()
        threads.go_back()
        expect(threads).to_have_url(re.compile(r"\?q=refund$"))
        expect(threads.locator("#threads-q")).to_have_value("refund")
        expect(threads.locator(".chip")).to_have_text(["“refund”"])
        threads.go_back()
        expect(threads).to_have_url(re.compile("/threads/$"))
        expect(threads.locator("#threads-q")).to_have_value("")
        expect(threads.locator(".chip")).to_have_count(0)

    def test_a_page_that_was_left_as_a_whole_comes_from_the_browser_s_memory(self, threads: Page) -> None:
        threads.evaluate("addEventListener('pageshow', (event) => { window.persisted = event.persisted })")
        threads.get_by_role("link", name="Users", exact=True).click()
        expect(threads.locator("table.users")).to_be_visible()
        threads.locator(".studio-links").get_by_role("link", name="API keys").click()
        threads.wait_for_url("**/keys/")
        threads.go_back(wait_until="commit")
        expect(threads.locator("table.users")).to_be_visible()
        assert threads.evaluate("window.persisted") is True
        assert is_same(threads)


@pytest.fixture
def guest(
    browser_context: BrowserContext, studio_server: StudioServer, browser_problems: Problems
) -> Iterator[tuple[Page, str]]:
    """Somebody's tab, where they see the threads of one agent as support; with their email."""
    page = browser_context.new_page()
    browser_problems.watch(page)
    agent, email = f"agt-move-{secrets.token_hex(4)}", f"{secrets.token_hex(4)}@example.com"
    schema = studio_server.create_agent(agent).schema
    studio_server.sql(
        "insert into agno_sessions (session_id, session_type, session_data, created_at) select 's' || n, 'agent',"
        " jsonb_build_object('session_name', 'Secret plan ' || n), 1790000000 from generate_series(1, 3) n",
        schema=schema,
    )
    (person,) = studio_server.sql(
        "insert into studio_user (email, name, password, is_active, created_at, session_epoch)"
        " values (%s, 'Guest', '!', true, now(), 0) returning id",
        email,
    )
    studio_server.sql(
        "insert into studio_grant (user_id, role, agent_id) values (%s, 'support', %s)",
        person[0],
        agent,
    )
    page.goto(studio_server.sign_in_link(email))
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/agents/")
    page.goto(f"/agents/{agent}/threads/")
    expect(page.get_by_text("Secret plan 1", exact=True)).to_be_visible()
    yield page, email
    # Chromium reports the answers that keep a page from being shown
    problems = [line for line in browser_problems.found if "status of 401" not in line and "status of 404" not in line]
    assert not problems, "\n".join(problems)


def shows_nothing(page: Page) -> None:
    """No content is there or comes, not even hidden, once the page has settled; what was seen on the way is kept."""
    expect(page.get_by_text("Secret plan")).to_have_count(0)
    page.wait_for_load_state("networkidle")
    assert "Secret plan" not in page.content()


# notes of each document where it came from, and of each frame whether content can be seen
WATCH = """
    const note = (where) => { sessionStorage.from = (sessionStorage.from || '') + where + ' '; };
    if (location.protocol !== 'about:') note(performance.getEntriesByType('navigation')[0].deliveryType);
    addEventListener('pageshow', (event) => event.persisted && note('memory'));
    const look = () => {
        const { body } = document;
        const isSeen = body && getComputedStyle(body).visibility === 'visible';
        if (sessionStorage.withdrawn && isSeen && body.innerText.includes('Secret plan')) sessionStorage.seen = 'yes';
        requestAnimationFrame(look);
    };
    look();
"""

# answers of the server about kept pages come a minute later
A_MINUTE_LATER = """
    const ask = window.fetch;
    window.fetch = async (...given) => {
        const { status } = await ask(...given);
        return new Response(null, { status, headers: { Date: new Date(Date.now() + 61_000).toUTCString() } });
    };
"""
# where a page is kept, by how many documents are opened after it: the browser's memory is for a few
AWAY = {"the browser's memory": 1, "the tab's memory": 0, "the browser's cache": 12}


def leave(page: Page, through: str) -> None:
    """Leave a list of threads so that it is kept there."""
    if not AWAY[through]:
        page.get_by_role("link", name="Users", exact=True).click()
        expect(page).to_have_title(re.compile("^Users"))
    for number in range(AWAY[through]):
        page.goto(f"/account/?{number}")


class TestAfterwards:
    def test_back_after_signing_out_shows_nothing(self, guest: tuple[Page, str]) -> None:
        page, _ = guest
        page.locator("details.menu summary").click()
        page.get_by_role("button", name="Sign out").click()
        page.wait_for_url("**/sign-in/**")
        for _ in range(2):
            page.go_back(wait_until="commit")
            shows_nothing(page)
        assert "/sign-in/" in page.url

    @pytest.mark.parametrize("through", AWAY)
    def test_back_after_a_role_was_withdrawn_shows_nothing(
        self, guest: tuple[Page, str], studio_server: StudioServer, through: str
    ) -> None:
        page, email = guest
        page.add_init_script(WATCH)
        page.reload()
        leave(page, through)
        studio_server.sql(
            "delete from studio_grant where user_id = (select id from studio_user where email = %s)", email
        )
        page.evaluate("sessionStorage.withdrawn = 'yes'")
        page.evaluate(f"history.go({-max(AWAY[through], 1)})")
        expect(page.get_by_role("heading", name="Not found")).to_be_visible()
        shows_nothing(page)
        assert page.evaluate("sessionStorage.seen") is None
        assert ("memory " in page.evaluate("sessionStorage.from")) is (through == "the browser's memory")
        assert ("cache " in page.evaluate("sessionStorage.from")) is (through == "the browser's cache")

    def test_back_to_a_thread_that_was_deleted_shows_nothing(
        self, guest: tuple[Page, str], studio_server: StudioServer
    ) -> None:
        page, _ = guest
        agent = page.url.split("/")[4]
        page.get_by_role("link", name="Secret plan 1", exact=True).click()
        expect(page.get_by_role("heading", name="Secret plan 1")).to_be_visible()
        page.get_by_role("link", name="Users", exact=True).click()
        expect(page).to_have_title(re.compile("^Users"))
        studio_server.sql("delete from agno_sessions", schema=f"ag_{agent.replace('-', '_')}")
        page.go_back()
        expect(page.get_by_role("heading", name="Not found")).to_be_visible()
        shows_nothing(page)

    @pytest.mark.parametrize("through", AWAY)
    def test_a_list_of_a_minute_ago_is_read_anew(
        self, guest: tuple[Page, str], studio_server: StudioServer, through: str
    ) -> None:
        page, _ = guest
        agent = page.url.split("/")[4]
        page.add_init_script(A_MINUTE_LATER)
        page.reload()
        expect(page.get_by_role("link", name="Secret plan 1", exact=True)).to_be_visible()
        leave(page, through)
        studio_server.sql("delete from agno_sessions", schema=f"ag_{agent.replace('-', '_')}")
        page.evaluate(f"history.go({-max(AWAY[through], 1)})")
        expect(page.get_by_role("heading", name="No threads yet")).to_be_visible()
        shows_nothing(page)

    def test_other_rights_bring_another_sidebar(self, guest: tuple[Page, str], studio_server: StudioServer) -> None:
        page, email = guest
        other = studio_server.create_agent(f"agt-move-{secrets.token_hex(4)}").id
        expect(page.locator("#side-agents")).not_to_contain_text(other)
        studio_server.sql(
            "insert into studio_grant (user_id, role, agent_id)"
            " select id, 'viewer', %s from studio_user where email = %s",
            other,
            email,
        )
        page.get_by_role("link", name="Users", exact=True).click()
        expect(page.locator("#side-agents")).to_contain_text(other)
