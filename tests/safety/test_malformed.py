"""Runs of any shape, poisoned JSON and slow Markdown: no page breaks, none is blank, none takes long."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.db import DataError, connection
from django.test import Client
from django_tenants.utils import schema_context
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from memory.pages import run_cards
from studio.models import Agent
from studio.render import PAGE_STEPS, Budget, markdown
from tests.calls import Api
from tests.rounds import rounds
from tests.world import NOW, run, write_thread

EXAMPLES = rounds(10, 60)
RUNS_EACH = 20

TEXT = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\x00"), max_size=20)
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-(10**20), 10**20), st.floats(allow_nan=False, allow_infinity=False), TEXT
)
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3), max_leaves=8
)
MESSAGE_KEYS = (
    "role",
    "content",
    "tool_calls",
    "tool_call_id",
    "tool_name",
    "from_history",
    "created_at",
    "metrics",
    "images",
)
RUN_KEYS = (
    *("status", "created_at", "model", "content", "input", "metrics", "messages", "tools", "events", "user_id"),
    *("parent_run_id", "images", "member_responses", "step_results", "reasoning_content", "metadata", "session_state"),
)
ROLES = st.sampled_from(["user", "assistant", "tool", "system"])


def some(keys: tuple[str, ...], **known: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {}, optional={key: st.one_of(known[key], JSON) if key in known else JSON for key in keys}
    )


MESSAGES = st.lists(st.one_of(some(MESSAGE_KEYS, role=ROLES), JSON), max_size=3)
RUNS = st.one_of(some(RUN_KEYS, messages=MESSAGES), some(RUN_KEYS, messages=MESSAGES), JSON)

# written as text, because no JSON library would write them
POISON = {
    "a number of 5,000 digits": '{"run_id": "p", "content": "seen", "created_at": ' + "9" * 5000 + "}",
    "3,000 deep": '{"run_id": "p", "content": "seen", "metadata": ' + "[" * 3000 + "1" + "]" * 3000 + "}",
    "1e400": '{"run_id": "p", "content": "seen", "metrics": {"duration": 1e400, "input_tokens": 1e400}}',
    "duplicate keys": '{"run_id": "p", "content": "lost", "content": "seen", "messages": 1, "messages": []}',
    "times of other units": '{"run_id": "p", "created_at": 1795333585123, "content": "seen"}',
    # what Postgres refuses outside of strings comes inside of one, which pages parse to show it
    "lone surrogates and NUL": json.dumps(
        {
            "run_id": "p",
            "content": "seen",
            "messages": [
                {
                    "role": "assistant",
                    "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": r'{"a": "\ud800 \u0000"}'}}],
                },
                {"role": "tool", "tool_call_id": "c", "content": r'["\udfff", "\u0000", 1e400, NaN]'},
            ],
            "tools": [{"tool_call_id": "c", "tool_name": "f", "tool_args": r'{"a": "\udc00"}', "result": r'"\ud83d"'}],
        }
    ),
    "a wide run": '{"run_id": "p", "content": "seen", "tools": [' + ",".join(["{}"] * 3000) + "]}",
}

SLOW = {
    "emphasis": "*a _b " * 6000,
    "brackets": "[" * 30_000,
    "links": "[a](" * 8000,
    "quotes": "> " * 15_000 + "x",
    "lists": "\n".join("  " * n + "- x" for n in range(240)),
    "code": "`" * 15_000 + " x " + "`" * 14_999,
    "tables": "|" * 10_000 + "\n" + "|-" * 5000,
    "entities": "&#x41;" * 5000,
    "html": "<a " * 10_000,
    "autolinks": "<http://" * 4000,
}


def reads(page: Client, api: Api, agent: Agent, session_id: str) -> list[tuple[str, int, int]]:
    """Every way to read a thread: (where, status, size)."""
    base = f"/agents/{agent.pk}/threads/"
    answers = [
        (path, page.get(path, headers=headers))
        for path, headers in (
            (base, {}),
            (f"{base}{session_id}/", {}),
            (f"{base}{session_id}/?order=oldest&raw=1", {"HX-Request": "true"}),
            (f"{base}{session_id}/export/", {}),
        )
    ]
    answers += [
        (path, api.raw("GET", path))
        for path in (f"agents/{agent.pk}/threads/{session_id}/runs", f"agents/{agent.pk}/threads/{session_id}/messages")
    ]
    return [
        (path, answer.status_code, len(answer.getvalue() if answer.streaming else answer.content))
        for path, answer in answers
    ]


def assert_all_read(answers: list[tuple[str, int, int]]) -> None:
    assert [(path, status) for path, status, size in answers if status != 200 or size < 2] == []


@pytest.mark.attack
@pytest.mark.django_db
@pytest.mark.parametrize("layout", ["column", "table"])
def test_runs_of_any_shape_are_read_everywhere(page: Client, ada: Agent, layout: str) -> None:
    """In full a hundred threads of twenty runs in each layout: the pages, the export and the API answer."""
    api = Api.with_key()
    api.client.raise_request_exception = True

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.explicit, Phase.reuse, Phase.generate],
    )
    @given(st.lists(RUNS, min_size=RUNS_EACH, max_size=RUNS_EACH))
    def read(runs: list[Any]) -> None:
        with schema_context(ada.schema_name), connection.cursor() as cursor:
            cursor.execute("delete from agno_sessions")
            cursor.execute("delete from memory_tombstone")
        if layout == "table":
            write_thread(ada, "odd", [], layout="table", at=NOW)
            with schema_context(ada.schema_name), connection.cursor() as cursor:
                cursor.executemany(
                    "insert into agno_runs (run_id, session_id, run_type, run_data, created_at)"
                    " values (%s, 'odd', 'x', %s, 5)",
                    [(str(number), json.dumps(item)) for number, item in enumerate(runs)],
                )
        else:
            write_thread(ada, "odd", runs)
        assert_all_read(reads(page, api, ada, "odd"))

    read()


@pytest.mark.django_db
@pytest.mark.parametrize("layout", ["column", "table"])
@pytest.mark.parametrize("poison", POISON)
def test_a_poisoned_run_is_one_box_and_the_rest_is_read(page: Client, ada: Agent, poison: str, layout: str) -> None:
    good = json.dumps(run("good", "Good question", "Good answer"))
    with schema_context(ada.schema_name), connection.cursor() as cursor:
        runs = f"[{POISON[poison]}, {good}]" if layout == "column" else None
        cursor.execute(
            "insert into agno_sessions (session_id, session_type, runs, created_at) values ('p', 'agent', %s, 5)",
            [runs],
        )
        if layout == "table":
            for run_id, data in (("p", POISON[poison]), ("good", good)):
                cursor.execute(
                    "insert into agno_runs (run_id, session_id, run_type, run_data, created_at)"
                    " values (%s, 'p', 'a', %s, 5)",
                    [run_id, data],
                )
    assert_all_read(reads(page, Api.with_key(), ada, "p"))
    transcript = page.get(f"/agents/{ada.pk}/threads/p/").getvalue().decode()
    assert "Good answer" in transcript


@pytest.mark.django_db
@pytest.mark.parametrize("value", [r'{"a": "\u0000"}', r'{"a": "\ud800"}', r'{"\udfff": 1}', '{"a": NaN}'])
def test_what_postgres_itself_keeps_out_of_json(ada: Agent, value: str) -> None:
    with (
        schema_context(ada.schema_name),
        connection.cursor() as cursor,
        pytest.raises(DataError),
    ):
        cursor.execute(
            "insert into agno_sessions (session_id, session_type, runs, created_at) values ('n', 'agent', %s, 5)",
            [value],
        )


@pytest.mark.parametrize("slow", SLOW)
def test_no_message_takes_long_to_render(slow: str) -> None:
    """Half a second of this process's own time; what a loaded machine or the collector adds once does not count."""
    assert min(seconds(lambda: markdown(SLOW[slow])) for _ in range(3)) <= 0.5


def seconds(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


@pytest.mark.django_db
def test_all_slow_messages_of_a_page_share_its_steps(page: Client, ada: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    budgets: list[Budget] = []

    def kept() -> Budget:
        budgets.append(Budget())
        return budgets[-1]

    monkeypatch.setattr(run_cards, "Budget", kept)
    write_thread(ada, "slow", [run(f"r{n}", "Hi", text) for n, text in enumerate([*SLOW.values(), *SLOW.values()])])
    page.get(f"/agents/{ada.pk}/threads/slow/")
    (budget,) = budgets
    assert 0 <= budget.left < PAGE_STEPS / 2
