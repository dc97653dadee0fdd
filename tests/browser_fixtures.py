"""A real Chromium for tests, which fails a test on any error in the console."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Error, Page, sync_playwright

from tests.server import StudioServer

ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

# The console says it too, but only for what was about to run; this hears of every report.
LISTEN_FOR_CSP = """
    document.addEventListener('securitypolicyviolation', (event) =>
        console.error(`CSP: ${event.effectiveDirective} refused ${event.blockedURI} ${event.sample}`))
"""


@dataclass
class Problems:
    """The errors that the browser reported; a test that causes one on purpose clears them."""

    found: list[str] = field(default_factory=list)

    def watch(self, page: Page) -> None:
        page.on("console", self._on_console)
        page.on("pageerror", self._on_error)

    def clear(self) -> None:
        self.found.clear()

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") or "Content Security Policy" in message.text:
            self.found.append(f"{message.type}: {message.text} ({message.location['url']})")

    def _on_error(self, error: Error) -> None:
        self.found.append(f"page error: {error}")


# A module's, not a session's: while Playwright runs, Django takes the thread for an asynchronous one.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with pytest.MonkeyPatch.context() as patch, sync_playwright() as playwright:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=ARGUMENTS,
            # as people have it: pages that were left are kept for Back
            ignore_default_args=["--disable-back-forward-cache"],
        )
        yield browser
        browser.close()


@pytest.fixture
def browser_problems() -> Problems:
    """The errors that `browser_page` reports while the test runs."""
    return Problems()


@pytest.fixture
def browser_context(browser: Browser, studio_server: StudioServer) -> Iterator[BrowserContext]:
    """A fresh browser profile in which nobody is signed in; addresses are the studio's."""
    context = browser.new_context(base_url=studio_server.url, viewport={"width": 1280, "height": 900})
    context.add_init_script(LISTEN_FOR_CSP)
    yield context
    context.close()


@pytest.fixture
def browser_page(browser_context: BrowserContext, browser_problems: Problems) -> Iterator[Page]:
    """A tab that fails its test on console errors, script errors and CSP reports."""
    page = browser_context.new_page()
    browser_problems.watch(page)
    yield page
    assert not browser_problems.found, "\n".join(browser_problems.found)


@pytest.fixture
def signed_in_page(browser_context: BrowserContext, browser_page: Page, studio_server: StudioServer) -> Page:
    """`browser_page` where the admin is signed in."""
    cookies = studio_server.client().cookies.jar
    browser_context.add_cookies(
        [{"name": c.name, "value": c.value or "", "domain": "127.0.0.1", "path": "/"} for c in cookies]
    )
    return browser_page
