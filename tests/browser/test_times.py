"""Times as a browser shows them: in its zone, or in UTC by choice."""

import re
from datetime import UTC, datetime

from playwright.sync_api import Page, expect

from tests.browser.conftest import Visit
from tests.browser.pages import SUPPORT

# nine hours before UTC all year round
ZONE = "Asia/Tokyo"
FULL = re.compile(r"\d{1,2} [A-Z][a-z]{2} \d{4}, \d\d:\d\d GMT\+9")


def in_tokyo(visit: Visit, path: str) -> Page:
    page = visit.tab()
    page.context.new_cdp_session(page).send("Emulation.setTimezoneOverride", {"timezoneId": ZONE})
    page.goto(path)
    return page


def choose(page: Page, name: str) -> None:
    page.locator("details.menu summary").click()
    page.get_by_role("button", name=name).click()
    page.keyboard.press("Escape")


def test_a_time_is_in_the_browsers_zone_and_utc_is_in_its_title(visit: Visit) -> None:
    page = in_tokyo(visit, f"/agents/{SUPPORT}/threads/")
    time = page.locator("time[data-ago]").first
    stamp = datetime.fromisoformat(time.get_attribute("datetime") or "").astimezone(UTC)
    title = time.get_attribute("title") or ""
    here, utc = title.split("\n")
    assert utc == f"{stamp:%Y-%m-%d %H:%M:%S} UTC"
    local = datetime.fromisoformat(here.removesuffix(f" {ZONE}"))
    assert (local - stamp.replace(tzinfo=None)).total_seconds() == 9 * 3600


def test_yesterday_is_the_readers(visit: Visit) -> None:
    page = in_tokyo(visit, "/agents/")
    # in Tokyo the 21st and the 23rd, in UTC the 20th and the 22nd, both of them two days
    assert page.evaluate("since(new Date('2026-11-20T22:00Z'), new Date('2026-11-22T22:45Z'))") == "2 days ago"
    # in Tokyo the 20th and the 22nd, in UTC the 20th and the 21st
    night = "since(new Date('2026-11-20T14:00Z'), new Date('2026-11-21T23:00Z'))"
    assert page.evaluate(night) == "2 days ago"
    choose(page, "UTC")
    assert page.evaluate(night) == "yesterday"


def test_utc_is_one_choice_away_and_stays(visit: Visit) -> None:
    page = in_tokyo(visit, f"/agents/{SUPPORT}/threads/")
    page.locator("td a").first.click()
    minute = page.locator("time[data-minute]").first
    expect(minute).to_have_text(FULL)
    choose(page, "UTC")
    stamp = datetime.fromisoformat(minute.get_attribute("datetime") or "")
    expect(minute).to_have_text(f"{stamp.day} {stamp:%b %Y, %H:%M} UTC")
    page.reload()
    expect(minute).to_have_text(f"{stamp.day} {stamp:%b %Y, %H:%M} UTC")
    choose(page, "My zone")
    expect(minute).to_have_text(FULL)


def test_without_scripts_times_are_utc(visit: Visit) -> None:
    page = visit.open(f"/agents/{SUPPORT}/threads/", js=False)
    expect(page.locator("time").first).to_have_attribute("title", re.compile("UTC$"))
    expect(page.get_by_role("button", name="My zone")).to_have_count(0)
