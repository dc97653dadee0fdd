"""The answer of a page with a list, and the words for its rows and their number."""

import math

from django.http import HttpResponse
from django.shortcuts import render

from memory.index.lag import Lag
from memory.index.paging import Page
from studio.formats import counted, duration, shorten
from studio.web import AppRequest, is_fragment


def list_response(request: AppRequest, name: str, ctx: dict[str, object]) -> HttpResponse:
    """Render a list as a page or fragment; a list without a page, because it took too long, has status 422."""
    fragment = is_fragment(request)
    template = f"memory/_{name}.html" if fragment else f"memory/{name}.html"
    response = render(request, template, ctx, status=200 if ctx["page"] else 422)
    # a form sends its empty fields too; the browser's address leaves them out
    if fragment and request.get_full_path() != ctx["address"]:
        response["HX-Push-Url"] = str(ctx["address"])
    return response


def unknown_filters(request: AppRequest, known: set[str]) -> list[str]:
    """Say in sentences which filters of an address a list does not have; nothing if it has all of them."""
    unknown = [shorten(name, 60) for name in request.GET if name not in known]
    said = [f"There is no filter “{name}” here." for name in unknown[:5]]
    return [*said, f"Known are {', '.join(sorted(known - {'cursor'}))}."] if said else []


def lag_words(lag: Lag) -> str:
    """Say how far a list is behind: "As of 2 s ago." and how many threads it may lack; "" if it is exact."""
    words = f"As of {math.ceil(lag.behind)} s ago." if lag.behind else ""
    if lag.left:
        left = "" if lag.seconds_left is None else f", about {duration(lag.seconds_left)} left"
        is_, them, they_were = ("is", "it", "it was") if lag.left == 1 else ("are", "them", "they were")
        words += f" {counted(lag.left, 'thread')} {is_} not indexed yet{left}:"
        words += f" lists may lack {them}, or show {them} as {they_were}."
    if lag.failed:
        words += f" {lag.failed:,} could not be counted; the studio tries again."
    return words.strip()


def which_rows(page: Page, noun: str) -> str:
    """Write which rows a page shows, and of how many: "51–100 of more than 1,000 threads"."""
    if not page.rows:
        return ""
    last = page.start + len(page.rows) - 1
    if page.start == 1 and page.older is None:
        return counted(last, noun)
    return f"{page.start:,}–{last:,} of {_how_many(page)} {noun}s"


def matching(page: Page) -> str:
    """Name all threads that match, with their number: "all 312 matching threads"."""
    return (
        f"all {page.count:,} matching threads" if page.count_is_exact else f"all matching threads ({_how_many(page)})"
    )


def _how_many(page: Page) -> str:
    """Write a page's count, and whether it is exact: "312", "more than 1,000", "about 12,400"."""
    if page.count_is_exact:
        return f"{page.count:,}"
    if page.count_is_floor:
        return f"more than {page.count:,}"
    # three digits, as an estimate is no more exact
    unit = 10 ** max(len(str(page.count)) - 3, 0)
    return f"about {round(page.count / unit) * unit:,}"
