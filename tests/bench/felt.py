"""How long a person waits in Chromium on a processor four times slower: from the click until the page is painted."""

import shutil
from collections.abc import Callable
from statistics import median
from typing import Final

from playwright.sync_api import Page, sync_playwright

from tests.browser_fixtures import ARGUMENTS

SLOWER: Final = 4
ROUNDS: Final = 5
PATIENCE: Final = 20  # seconds
# the end of a wait is when `wanted` is painted; kept where the next document finds it, too
_WATCH: Final = """
    const now = () => performance.timeOrigin + performance.now();
    const begin = () => { if (sessionStorage.wanted) sessionStorage.began = now(); };
    for (const event of ['click', 'input']) addEventListener(event, begin, true);
    const look = () => {
        const { wanted } = sessionStorage;
        const isSeen = document.body && getComputedStyle(document.body).visibility === 'visible';
        if (wanted && isSeen && document.querySelector(wanted)) {
            delete sessionStorage.wanted;
            // a message is read after the frame has been painted
            const painted = new MessageChannel();
            painted.port1.onmessage = () => { sessionStorage.ended = now(); };
            painted.port2.postMessage(0);
        }
        requestAnimationFrame(look);
    };
    if (location.protocol !== 'about:') look();
"""
_WANT: Final = "(wanted) => { delete sessionStorage.ended; sessionStorage.wanted = wanted; }"
_BACK: Final = "() => { sessionStorage.began = performance.timeOrigin + performance.now(); history.back(); }"


def measure(base: str, sign_in: str, threads: str, rounds: int = ROUNDS) -> dict[str, float]:
    """Return the median milliseconds of each step, from the list of threads at the path `threads`."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=ARGUMENTS,
            # as people have it: pages that were left are kept for Back
            ignore_default_args=["--disable-back-forward-cache"],
        )
        context = browser.new_context(base_url=base, viewport={"width": 1280, "height": 900})
        context.add_init_script(_WATCH)
        page = context.new_page()
        page.goto(sign_in)
        page.locator("main form button").click()
        page.wait_for_url("**/agents/**")
        # the first round fills the caches
        walks = [_walk(page, threads) for _ in range(rounds + 1)][1:]
        browser.close()
    return {step: median(walk[step] for walk in walks) for step in walks[0]}


def _walk(page: Page, threads: str) -> dict[str, float]:
    page.goto(threads, wait_until="networkidle")
    transcript = _waited(page, "main article.run", page.locator("main a.title").nth(3).click)
    back = _waited(page, "main table.threads", lambda: page.evaluate(_BACK))
    users = _waited(page, "main table.users", page.locator("nav.tabs a", has_text="Users").click)
    page.goto(threads, wait_until="networkidle")
    page.locator("main input[type=search]").focus()
    typed = _waited(page, "main .chips .chip", lambda: page.keyboard.type("re"))
    return {"threads → transcript": transcript, "back": back, "threads → users": users, "typed, filtered rows": typed}


def _waited(page: Page, wanted: str, act: Callable[[], None]) -> float:
    # said again each time, because a page may come from another process
    page.context.new_cdp_session(page).send("Emulation.setCPUThrottlingRate", {"rate": SLOWER})
    page.evaluate(_WANT, wanted)
    act()
    # asked late and seldom, because asking takes time from the page
    for _ in range(PATIENCE):
        page.wait_for_timeout(1000)
        if page.evaluate("sessionStorage.ended"):
            return float(page.evaluate("sessionStorage.ended - sessionStorage.began"))
    raise TimeoutError(wanted)
