"""The Jinja2 environment of all templates: its functions, its filters and htmx's configuration."""

import json
import re
from functools import cache, lru_cache
from typing import Any, Final

from django.templatetags.static import static
from django.urls import reverse
from django.utils import timezone
from django.utils.encoding import iri_to_uri
from django.utils.html import json_script
from django_htmx.jinja import htmx_script
from jinja2 import Environment
from jinja2.ext import Extension

from studio import formats, icons, ids, running, visible
from studio.agents import memory_settings
from studio.agents.labels import label
from studio.web import SEARCH

# Stored text may hold htmx attributes: nothing on a page may make htmx run code or ask another server.
HTMX: Final = {
    "allowEval": False,
    "allowScriptTags": False,
    "selfRequestsOnly": True,
    # no transcript stays in the browser's storage
    "historyCacheSize": 0,
    # the Content-Security-Policy refuses inline styles
    "includeIndicatorStyles": False,
    # nothing is animated: what comes in is there at once
    "defaultSettleDelay": 0,
    "historyRestoreAsHxRequest": False,
    "refreshOnHistoryMiss": True,
    "responseHandling": [
        {"code": "204", "swap": False},
        {"code": "[23]..", "swap": True},
        # a form with errors, or one that somebody else's change has overtaken
        {"code": "(409|422)", "swap": True},
        {"code": "...", "swap": False, "error": True},
    ],
}


class Unindented(Extension):
    """Leaves out the indentation of templates, a tenth of a list's bytes. Line ends stay, and values as they are."""

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:
        # a line's end after a tag is left out: one blank keeps what follows apart, such as an attribute
        return re.sub(r"([%#]\}\n)?(?<=\n)[ \t]+", lambda found: f"{found[1]} " if found[1] else "", source)


def environment(**options: Any) -> Environment:
    """Make the environment of all templates; settings.TEMPLATES names it and its options."""
    made = Environment(**options, extensions=[Unindented], finalize=visible.finalize)  # noqa: S701  # nosec B701  settings switch autoescape on
    made.globals |= {
        "url": url,
        "static": cache(static),
        "icons": icons.address,
        "htmx_script": htmx_script,
        "htmx_config": json.dumps(HTMX),
        "now": timezone.now,
        "manage": running.MANAGE,
        # the sidebar, which every page has, searches too
        "search_longest": SEARCH,
    }
    made.filters |= {
        "moment": formats.moment,
        "iso": formats.iso,
        "since": formats.since,
        "date": formats.date,
        "date_and_minute": formats.date_and_minute,
        "compact": formats.compact,
        "count": formats.count,
        "size": formats.size,
        "duration": formats.duration,
        "shorten": formats.shorten,
        # of a short text what nobody sees is marked; this one is written as it is
        "as_is": visible.as_is,
        "as_uri": iri_to_uri,
        "plural": plural,
        "path_id": ids.encode,
        "words": memory_settings.words,
        "literal": memory_settings.literal,
        "described": memory_settings.described,
        "label": label,
        "json_script": json_script,
    }
    return made


# a page asks for some thirty, most of them those of the page before
@lru_cache(maxsize=512)
def url(name: str, *args: Any) -> str:
    """Return the path of a route; raises NoReverseMatch."""
    return reverse(name, args=args)


def plural(number: Any, one: str = "", many: str = "s") -> str:
    """Choose the ending for a number: `{{ runs }} run{{ runs|plural }}`, `{{ n|plural("It is", "They are") }}`."""
    return one if number == 1 else many
