"""Take a picture of every page: `python -m tests.browser.screenshots http://127.0.0.1:8000/sign-in/once/…/ DIRECTORY`.

The first argument is a fresh sign-in link of a studio with demo data on this machine.
"""

import shutil
import sys
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Page, sync_playwright

from tests.browser.pages import RESEARCH, SALES, SUPPORT, WEBHOOK
from tests.browser_fixtures import ARGUMENTS

PAGES = {
    "agents": "/agents/",
    "agent-new": "/agents/new/",
    "memory": f"/agents/{SUPPORT}/memory/",
    "memory-off": f"/agents/{WEBHOOK}/memory/",
    "memory-langchain": f"/agents/{SALES}/memory/",
    "threads": f"/agents/{SUPPORT}/threads/",
    "threads-research": f"/agents/{RESEARCH}/threads/?sort=tokens",
    "users": f"/agents/{SUPPORT}/users/",
    "activity": f"/agents/{SUPPORT}/activity/",
    "people": "/people/",
    "audit": "/audit/",
    "account": "/account/",
    "keys": "/keys/",
}
LOOKS = [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")]


def main(link: str, directory: str) -> None:
    out = Path(directory)
    out.mkdir(parents=True, exist_ok=True)
    where = urlsplit(link)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=ARGUMENTS)
        context = browser.new_context(base_url=f"{where.scheme}://{where.netloc}")
        page = context.new_page()
        page.goto(where.path)
        page.locator("main form button").click()
        page.wait_for_url("**/agents/**")
        page.goto(f"/agents/{SUPPORT}/threads/?sort=runs", wait_until="networkidle")
        pages = dict(PAGES)
        pages["transcript"] = page.locator("main a.title").nth(3).get_attribute("href") or ""
        for width, scheme in LOOKS:
            page.set_viewport_size({"width": width, "height": 900})
            page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            for name, path in pages.items():
                take(page, path, out / f"{name}-{width}-{scheme}.png")
        browser.close()


def take(page: Page, path: str, to: Path) -> None:
    page.goto(path, wait_until="networkidle")
    page.screenshot(path=to)


if __name__ == "__main__":
    main(*sys.argv[1:3])
