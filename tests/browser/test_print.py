"""A transcript on paper: what was said, whole, and what is known about the thread."""

import pytest
from playwright.sync_api import Page

from tests.browser.conftest import Visit
from tests.server import StudioServer

AGENT = "agt-supp2ortbot3"
SEED = f"""
from tests.world import message, run, write_thread
from studio.models import Agent
call = {{"id": "c", "function": {{"name": "find_terms", "arguments": '{{"shop": "ghent"}}'}}}}
answer = "\\n\\n".join("**Paragraph** " + "word " * 100 for _ in range(40)) + "\\n\\nEND-OF-ANSWER"
write_thread(Agent.objects.get(pk="{AGENT}"), "paper", [run("r", messages=[
    message("user", "question " * 900 + "END-OF-QUESTION"),
    message("assistant", None, tool_calls=[call], reasoning_content="They ask for terms."),
    message("tool", "row " * 2000 + "END-OF-RESULT", tool_call_id="c"),
    message("assistant", answer),
])], user_id="vera")
rows = ["|" + "|".join(f" {{cell}} " for cell in cells) + "|" for cells in (
    [f"column {{n}}" for n in range(16)], ["---"] * 16, [f"value {{n}} of some length" for n in range(16)])]
write_thread(Agent.objects.get(pk="{AGENT}"), "paper-table", [run("t", messages=[
    message("user", "And as a table?"), message("assistant", "\\n".join(rows))])], user_id="vera")
"""
SHOWN = ("paper", "vera", "Created", '"shop": "ghent"', "row row", "They ask for terms.", "Cut, 8.0 KB in all.")


@pytest.fixture(scope="module")
def _written(demo_studio: StudioServer) -> None:
    demo_studio.manage("shell", "--no-imports", "--command", SEED)


def on_paper(page: Page) -> str:
    """Print the page, and return what is on it then."""
    assert page.pdf(format="A4").startswith(b"%PDF")
    page.emulate_media(media="print")
    return page.locator("main").inner_text()


@pytest.mark.usefixtures("_written")
def test_19_printing(visit: Visit) -> None:
    page = visit.open(f"/agents/{AGENT}/threads/paper/")
    assert "They ask for terms." not in page.locator("main").inner_text()
    paper = on_paper(page)
    for part in (*SHOWN, "END-OF-QUESTION", "END-OF-ANSWER"):
        assert part in paper
    assert paper.count("Cut, ") == 1
    for part in ("END-OF-RESULT", "Show all", "View JSON", "Delete thread", "Download", "Threads"):
        assert part not in paper
    page.emulate_media(media="screen")
    assert "END-OF-ANSWER" not in page.locator("main").inner_text()


@pytest.mark.usefixtures("_written")
def test_without_scripts_what_is_cut_says_so(visit: Visit) -> None:
    paper = on_paper(visit.open(f"/agents/{AGENT}/threads/paper/", js=False))
    for part in SHOWN:
        assert part in paper
    assert paper.count("Cut, ") == 3


@pytest.mark.usefixtures("_written")
def test_paper_is_light_whatever_the_screen_is(visit: Visit) -> None:
    page = visit.tab(scheme="dark")
    page.goto(f"/agents/{AGENT}/threads/paper/")
    on_paper(page)
    assert page.evaluate("getComputedStyle(document.documentElement).colorScheme") == "light"


@pytest.mark.usefixtures("_written")
def test_a_table_that_scrolls_on_the_screen_is_whole(visit: Visit) -> None:
    page = visit.tab(width=700)
    page.goto(f"/agents/{AGENT}/threads/paper-table/")
    box = page.locator(".msg .table")
    assert box.evaluate("(one) => one.scrollWidth > one.clientWidth")
    assert "value 15" in on_paper(page)
    assert box.evaluate("(one) => one.scrollWidth <= one.clientWidth")


def test_what_is_on_other_pages_is_named(visit: Visit) -> None:
    paper = on_paper(visit.open(f"/agents/{AGENT}/threads/ops-desk/"))
    assert "Older runs (380) are not on this page." in paper
