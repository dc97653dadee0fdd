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

TOKENS = 100  # that each run of `talk` was billed for; its messages are larger


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
        assert measure(ada) == ThreadStats(0, 0, None, 0, 0, 0, [])
        assert measure(ada).at(10).percent_whole == 0

    @pytest.mark.parametrize("layout", ["column", "table", "both"])
    def test_it_takes_the_median_thread(self, ada: Agent, layout: str) -> None:
        for name, runs, tools in (("short", 1, 0), ("middle", 3, 1), ("long", 9, 2)):
            thread(ada, name, runs, tools, layout=layout)
        measured = measure(ada)
        assert (measured.threads, measured.runs, measured.all_runs) == (3, 3, [1, 3, 9])
        assert (measured.run_tokens, measured.run_tool_calls) == (TOKENS, 1)

    @pytest.mark.parametrize("layout", ["column", "table", "both"])
    def test_a_bill_that_holds_the_history_sent_along_is_not_counted_again(self, ada: Agent, layout: str) -> None:
        billed = {"input_tokens": 90_000, "output_tokens": 900}
        write_thread(ada, "s", [talk("r", metrics=billed)], layout=layout, session_data={"session_metrics": billed})
        # 500 bytes of text are 125 tokens; the messages' ids and times come on top
        assert 125 <= measure(ada).run_tokens < 250

    def test_messages_count_where_the_bill_is_missing(self, ada: Agent) -> None:
        write_thread(ada, "s", [talk("r", metrics=None)])
        assert 125 <= measure(ada).run_tokens < 250

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

    def test_a_window_is_the_median_run_times_the_depth(self, ada: Agent) -> None:
        for name, runs in (("a", 2), ("b", 5), ("c", 6)):
            thread(ada, name, runs, 2)
        window = measure(ada).at(5)
        assert (window.tokens, window.tool_calls, window.percent_whole) == (5 * TOKENS, 10, 66)


class TestSaying:
    def test_it_says_nothing_in_numbers_without_threads(self, page: Client, ada: Agent) -> None:
        said = advice(page, ada)
        assert "3–5 suits busy tool agents, 20 or more long analysis. More runs, more tokens each turn." in said
        assert "median" not in said
        assert "latest" not in said

    def test_it_says_what_the_saved_depth_sends(self, page: Client, ada: Agent) -> None:
        for name, runs in (("a", 4), ("b", 6), ("c", 30)):
            thread(ada, name, runs, 2)
        said = advice(page, ada)
        assert "The latest 3 threads have 6 runs at the median, of up to 100 tokens each:" in said
        assert "10 such runs send up to 1.0k tokens each turn." in said
        assert "66 % of these threads have no more runs than that." in said
        assert "A run here makes 2 tool calls at the median: 10 such runs hold about 20." in said

    def test_it_says_that_a_cap_sends_less(self, page: Client, ada: Agent) -> None:
        thread(ada, "a", 4, 2)
        ada.memory.max_tool_calls_from_history = 3
        ada.memory.save()
        assert "up to 1.0k tokens each turn, before the cap on tool calls." in advice(page, ada)

    def test_it_speaks_of_one_thread_in_the_singular(self, page: Client, ada: Agent) -> None:
        thread(ada, "a", 1)
        said = advice(page, ada)
        assert "The one thread here has 1 run, of up to 100 tokens each:" in said
        assert "of these threads" not in said

    def test_it_says_when_most_threads_call_no_tools(self, page: Client, ada: Agent) -> None:
        for name, tools in (("a", 0), ("b", 0), ("c", 5)):
            thread(ada, name, 1, tools)
        assert "At least half of these threads call no tools." in advice(page, ada)

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
