from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from tests.browser.pages import demo_pages
from tests.browser_fixtures import LISTEN_FOR_CSP, Problems
from tests.server import StudioServer, new_database, serving


@pytest.fixture(scope="session")
def demo_studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StudioServer]:
    """A running studio with the demo's agents and threads."""
    with new_database() as dsn, serving(dsn, tmp_path_factory.mktemp("demo")) as server:
        server.manage("demo")
        yield server


@pytest.fixture(scope="session")
def addresses(demo_studio: StudioServer) -> dict[str, str]:
    """Return each kind of page by name, with an address where it has much to show."""
    return demo_pages(demo_studio)


@pytest.fixture(scope="module")
def demo_cookies(demo_studio: StudioServer) -> list[dict[str, str]]:
    return admin_cookies(demo_studio)


@pytest.fixture(scope="module")
def cookies(studio_server: StudioServer) -> list[dict[str, str]]:
    """The admin's, signed in once for all tests of a file."""
    return admin_cookies(studio_server)


@pytest.fixture
def visit(browser: Browser, demo_studio: StudioServer, demo_cookies: list[dict[str, str]]) -> Iterator["Visit"]:
    """Open demo pages as the signed-in admin; the test fails on any complaint of the browser."""
    visit = Visit(browser, demo_studio.url, demo_cookies, Problems())
    yield visit
    for context in visit.opened:
        context.close()
    # Chromium reports the status of our own error pages, and sometimes late
    statuses = tuple(f"status of {status}" for status in visit.expected)
    problems = [line for line in visit.problems.found if not any(status in line for status in statuses)]
    assert not problems, "\n".join(problems)


class Visit:
    def __init__(self, browser: Browser, url: str, cookies: list[dict[str, str]], problems: Problems) -> None:
        self.browser, self.url, self.cookies, self.problems = browser, url, cookies, problems
        self.expected: set[int] = set()
        self.opened: list[BrowserContext] = []

    def tab(self, *, width: int = 1280, scheme: str = "light", signed_in: bool = True, js: bool = True) -> Page:
        """Open an empty tab in a fresh profile."""
        context = self.browser.new_context(
            base_url=self.url,
            viewport={"width": width, "height": 900},
            color_scheme=scheme,  # type: ignore[arg-type]
            java_script_enabled=js,
            reduced_motion="reduce",
        )
        self.opened.append(context)
        if signed_in:
            context.add_cookies(self.cookies)  # type: ignore[arg-type]
        if js:
            context.add_init_script(LISTEN_FOR_CSP)
        page = context.new_page()
        self.problems.watch(page)
        return page

    def open(self, path: str, *, js: bool = True) -> Page:
        """Open one page in a tab of its own."""
        page = self.tab(js=js)
        page.goto(path)
        return page


def admin_cookies(studio: StudioServer) -> list[dict[str, str]]:
    """Sign in, and return the cookies as a browser takes them."""
    jar = studio.client().cookies.jar
    return [{"name": c.name, "value": c.value or "", "domain": "127.0.0.1", "path": "/"} for c in jar]


def settled(page: Page) -> None:
    """Wait until htmx has loaded what it loads by itself."""
    page.wait_for_function("!document.querySelector('.htmx-request, [hx-trigger=load]')")
