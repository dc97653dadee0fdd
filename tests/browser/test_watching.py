"""The browser that fails a test on any complaint does hear them."""

import pytest
from playwright.sync_api import BrowserContext, Page

from tests.browser_fixtures import Problems


def test_a_quiet_page_has_no_problems(signed_in_page: Page) -> None:
    signed_in_page.goto("/agents/")
    assert signed_in_page.get_by_role("main").is_visible()


@pytest.mark.parametrize(
    ("script", "complaint"),
    [
        ("console.error('oh no')", "oh no"),
        ("console.warn('hm')", "hm"),
        ("setTimeout(() => { throw new Error('broken') })", "broken"),
        ("document.body.insertAdjacentHTML('beforeend', '<p style=\"color: red\">')", "CSP: style-src"),
        (
            "document.body.append(Object.assign(document.createElement('img'), {src: 'https://e.test/'}))",
            "CSP: img-src",
        ),
        ("fetch('/nowhere/')", "404"),
    ],
)
def test_it_hears_every_complaint(browser_context: BrowserContext, script: str, complaint: str) -> None:
    page, problems = browser_context.new_page(), Problems()
    problems.watch(page)
    page.goto("/sign-in/")
    page.evaluate(script)
    for _ in range(100):
        if any(complaint in problem for problem in problems.found):
            return
        page.wait_for_timeout(50)
    pytest.fail(f"{complaint} is not among {problems.found}")


def test_people_who_are_not_signed_in_are_not(browser_page: Page) -> None:
    browser_page.goto("/agents/")
    assert "/sign-in/" in browser_page.url
