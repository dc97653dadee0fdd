"""The numbers behind the Memory tab's advice, and the sentences that say them."""

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django_tenants.utils import schema_context

from memory.index import stats
from memory.index.stats import LATEST, ThreadStats
from studio.models import Agent
from tests.reading import text
from tests.world import NOW, message, run, write_thread


def talk(run_id: str, tools: int = 0, **more: Any) -> dict[str, Any]:
    results = [message("tool", "found", tool_call_id=f"{run_id}-{n}", tool_name="look") for n in range(tools)]
    made = run(run_id, "q" * 200, "a" * 300, **{"metrics": {"input_tokens": 80, "output_tokens": 20}, **more})
    made["messages"][1:1] = results
    return made


def thread(agent: Agent, name: str, runs: int, tools: int = 0, **more: Any) -> None:
    write_thread(agent, name, [talk(f"{name}-{n}", tools) for n in range(runs)], **more)


def measure(agent: Agent) -> ThreadStats:
    with schema_context(agent.schema_name):
        return stats.latest_threads()


def advice(client: Client, agent: Agent) -> str:
    return text(client.get(f"/agents/{agent.pk}/memory/"))


class TestMeasuring:
    def test_an_agent_without_threads_has_no_numbers(self, ada: Agent) -> None:
        measured = measure(ada)
        assert measured == ThreadStats(0, 0, None, 0, 0, [])
        assert (measured.runs, measured.percent_within(10)) == (0, 0)

    @pytest.mark.parametrize("layout", ["column", "table", "both"])
    def test_it_takes_the_median_and_the_most(self, ada: Agent, layout: str) -> None:
        for name, runs, tools in (("short", 1, 0), ("middle", 3, 1), ("long", 9, 2)):
            thread(ada, name, runs, tools, layout=layout)
        measured = measure(ada)
        assert (measured.threads, measured.runs, measured.all_runs) == (3, 3, [1, 3, 9])
        assert (measured.tool_calls, measured.most_tool_calls) == (3, 18)

    def test_it_leaves_out_threads_without_runs(self, ada: Agent) -> None:
        write_thread(ada, "empty", [])
        thread(ada, "full", 4)
        assert (measure(ada).threads, measure(ada).runs) == (1, 4)

    def test_it_reads_the_latest_threads_only(self, ada: Agent) -> None:
        with schema_context(ada.schema_name), connection.cursor() as cursor:
            for name, runs, at, count in (("old", 50, NOW - 9999, 100), ("new", 2, NOW, LATEST)):
                cursor.execute(
                    "insert into memory_thread (session_id, runs, created_at)"
                    " select %s || n, %s, %s from generate_series(1, %s) n",
                    [name, runs, at, count],
                )
        assert (measure(ada).threads, measure(ada).runs, measure(ada).last_at) == (LATEST, 2, NOW)

    def test_it_counts_summaries(self, ada: Agent) -> None:
        thread(ada, "a", 1, summary={"summary": "They talked."})
        thread(ada, "b", 1)
        assert (measure(ada).with_summary, measure(ada).threads) == (1, 2)

    def test_it_measures_one_agent(self, ada: Agent, bruno: Agent) -> None:
        thread(bruno, "s", 40)
        assert measure(ada).threads == 0

    def test_a_depth_holds_the_threads_with_no_more_runs(self, ada: Agent) -> None:
        for name, runs in (("a", 2), ("b", 5), ("c", 6)):
            thread(ada, name, runs)
        measured = measure(ada)
        assert [measured.percent_within(depth) for depth in (1, 2, 5, 6, 100)] == [0, 33, 66, 100, 100]


class TestSaying:
    def test_it_says_nothing_in_numbers_without_threads(self, page: Client, ada: Agent) -> None:
        said = advice(page, ada)
        assert "3–5 suits busy tool agents, 20 or more long analysis. More runs, more tokens each turn." in said
        assert "median" not in said
        assert "latest" not in said

    def test_it_says_what_the_threads_hold(self, page: Client, ada: Agent) -> None:
        for name, runs in (("a", 4), ("b", 6), ("c", 30)):
            thread(ada, name, runs, 2)
        said = advice(page, ada)
        assert "The latest 3 threads have 6 runs at the median and 30 at most;" in said
        assert "66 % of them have no more than the number above. More runs" in said
        assert "The latest 3 threads hold 12 tool calls at the median and 60 at most. 0 means no cap" in said

    @pytest.mark.parametrize("runs", [1, 30])
    def test_it_guesses_nothing_of_what_a_model_is_sent(self, page: Client, ada: Agent, runs: int) -> None:
        """A median run times a depth was wrong by factors: one long run among short ones, runs that are not sent."""
        billed = {"input_tokens": 90_000, "output_tokens": 900}
        write_thread(ada, "a", [talk(f"a-{n}", 2, metrics=billed) for n in range(runs)])
        write_thread(ada, "b", [talk("b-1", status="ERROR")])
        said = advice(page, ada)
        for guess in ("up to", "such runs", "90.9k", "tokens each:", "hold about"):
            assert guess not in said

    def test_it_speaks_of_one_thread_in_the_singular(self, page: Client, ada: Agent) -> None:
        thread(ada, "a", 1, 1)
        said = advice(page, ada)
        assert "The one thread here has 1 run. More runs" in said
        assert "The one thread here holds 1 tool call. 0 means" in said

    def test_it_says_when_threads_hold_no_tool_calls(self, page: Client, ada: Agent) -> None:
        thread(ada, "a", 1)
        assert "The one thread here holds no tool calls." in advice(page, ada)
        thread(ada, "b", 1)
        assert "The latest 2 threads hold no tool calls." in advice(page, ada)

    def test_it_says_how_many_threads_have_a_summary(self, page: Client, ada: Agent) -> None:
        thread(ada, "a", 1, summary={"summary": "They talked."})
        thread(ada, "b", 1)
        assert "1 of the latest 2 threads has one." in advice(page, ada)

    def test_it_says_when_the_agent_was_last_active(self, page: Client, ada: Agent) -> None:
        thread(ada, "a", 1, at=NOW - 7200)
        assert "The latest thread here was active 2 h ago." in advice(page, ada)

    @pytest.mark.parametrize("at", [-5, 10**18, 1_700_000_000_000])
    def test_a_time_that_is_none_does_not_break_the_page(self, page: Client, ada: Agent, at: int) -> None:
        thread(ada, "a", 1, at=at)
        assert "The latest thread here was active" in advice(page, ada)
