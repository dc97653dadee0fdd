"""Walking through the studio's pages by their links, as a person without JavaScript does."""

from urllib.parse import parse_qs, urljoin, urlsplit

import httpx

from studio import ids
from tests.markup import Page

MOST_PAGES = 100


def address(agent_id: str, kind: str, one: str | None = None) -> str:
    """Return the address of an agent's list, or of one thread or user of it."""
    return f"/agents/{agent_id}/{kind}/" + (f"{ids.encode(one)}/" if one is not None else "")


def walk(client: httpx.Client, path: str, **query: str) -> list[Page]:
    """Return a page and all that its links to further rows or runs lead to, in the order of their discovery."""
    seen: list[str] = []
    waiting = [f"{path}?{httpx.QueryParams(query)}"]
    pages = []
    while waiting:
        here = waiting.pop(0)
        answer = client.get(here)
        assert answer.status_code == 200, f"{here} answered {answer.status_code}"
        seen.append(here)
        pages.append(Page(answer.text))
        assert len(pages) < MOST_PAGES
        for link in (urljoin(here, link) for link in pages[-1].links):
            parts = urlsplit(link)
            leads_on = parts.path == path and "cursor" in parse_qs(parts.query)
            if leads_on and link not in seen and link not in waiting:
                waiting.append(link)
    return pages


def squeezed(*texts: str) -> str:
    """Join texts without white space, which pages lay out in their own way."""
    return "".join("".join(texts).split())
