"""The list of threads."""

import re
from typing import Any

from django.http import HttpResponse

from studio.models import Agent
from tests.reading import html
from tests.world import NOW, write_thread

THREADS = "/agents/agt-ada/threads/"


def chips(response: HttpResponse) -> list[str]:
    return re.findall(r'class="chip">\s*<bdi>([^<]*)<', html(response))


def named(agent: Agent, *names: str, **more: Any) -> None:
    for n, name in enumerate(names):
        write_thread(agent, f"s-{name}", session_data={"session_name": name}, at=NOW - n, **more)
