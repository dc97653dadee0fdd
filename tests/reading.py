from typing import Any

from tests.markup import Page


def text(response: Any) -> str:
    """Return the text of a page, as a person reads it, on one line."""
    return " ".join(" ".join(Page(response.content.decode()).texts).split())


def links(response: Any) -> list[str]:
    return Page(response.content.decode()).links
