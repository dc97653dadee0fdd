"""What a page says: of an answer, or of a part of its HTML."""

import re
from typing import Any

from django.template import engines

from tests.markup import Form, Page


def html(answer: Any) -> str:
    """The whole of an answer; a file comes in pieces."""
    if isinstance(answer, str):
        return answer
    return (b"".join(answer) if answer.streaming else answer.content).decode()


def text(page: Any) -> str:
    """What a person reads on a page, on one line: one blank between two pieces, none before punctuation."""
    return re.sub(r" ([.,:;])", r"\1", " ".join(" ".join(Page(html(page)).texts).split()))


def links(page: Any, part: str = "") -> list[str]:
    """Where its links go; only those that contain `part`."""
    return [link for link in Page(html(page)).links if part in link]


def form_with(page: Any, field: str) -> Form:
    """The first of its forms that has this field."""
    return next(form for form in Page(html(page)).forms if field in form.fields)


def titles(page: Any) -> list[str]:
    """The titles of the rows of a list."""
    return re.findall(r'class="title"[^>]*>([^<]*)<', html(page))


def event_ids(page: Any) -> list[int]:
    """The events of an audit log that it shows, from the top."""
    return [int(number) for number in re.findall(r'<tr id="event-(\d+)"', html(page))]


def rendered(template: str, **values: Any) -> str:
    """The text that a template makes."""
    made: str = engines["jinja2"].from_string(template).render(values)
    return made
