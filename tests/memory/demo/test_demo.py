"""The demo: four agents whose recorded threads have the shapes that Agno writes."""

import json
import subprocess
from collections import Counter

import pytest

from memory.demo import load
from tests.conformance import environments
from tests.memory.demo.made import DAY, RESEARCH, SALES, SUPPORT, Json, all_runs

# of a completed run with tool calls, in both generations of Agno
RUN_KEYS = frozenset(
    {"agent_id", "agent_name", "content", "content_type", "created_at", "events", "input", "messages", "metadata"}
    | {"metrics", "model", "model_provider", "model_provider_data", "run_id", "session_id", "session_state", "status"}
    | {"tools", "user_id"}
)


@pytest.fixture(scope="module")
def runs(threads: list[Json]) -> list[Json]:
    return [run for thread in threads for run in all_runs(thread)]


# What the threads are


def test_there_are_some_300_threads_of_40_users(threads: list[Json], runs: list[Json]) -> None:
    users = {run.get("user_id") for run in runs} | {thread["session"]["user_id"] for thread in threads}
    assert 280 <= len(threads) <= 320
    assert len(users - {None}) == 40
    assert None in users


def test_the_same_moment_gives_the_same_rows(now: int, made: dict[str, list[Json]]) -> None:
    assert load.threads(RESEARCH, now) == made[RESEARCH["id"]]


def test_ids_are_unique_within_an_agent(made: dict[str, list[Json]]) -> None:
    for group in made.values():
        ids = [thread["session"]["session_id"] for thread in group]
        assert len(set(ids)) == len(ids)
        run_ids = [run["run_id"] for thread in group for run in all_runs(thread)]
        assert len(set(run_ids)) == len(run_ids)


def test_activity_is_spread_over_60_days_up_to_now(now: int, threads: list[Json]) -> None:
    ended = sorted(thread["session"]["updated_at"] for thread in threads)
    assert now - 10 * 60 < ended[-1] <= now
    assert now - 60 * DAY <= min(thread["session"]["created_at"] for thread in threads) < now - 55 * DAY
    weeks = Counter(int((now - at) // (7 * DAY)) for at in ended)
    assert all(weeks[week] >= 5 for week in range(8))


def test_each_agent_keeps_its_runs_in_one_place(made: dict[str, list[Json]]) -> None:
    assert all(thread["session"]["runs"] and not thread["runs"] for thread in made[RESEARCH["id"]])
    both = [thread for thread in made[SUPPORT["id"]] if thread["session"]["runs"]]
    assert all(thread["runs"] for thread in made[SUPPORT["id"]])
    assert len(both) == 3
    assert made[SALES["id"]] == []


def test_the_language_of_a_title_is_not_always_english(runs: list[Json]) -> None:
    text = "".join(str(run["input"]) for run in runs)
    scripts = {
        "Arabic": "أ",
        "Hebrew": "ה",
        "Japanese": "の",
        "Chinese": "吗",
        "Korean": "요",
        "Ukrainian": "є",
        "Hindi": "म",
    }
    assert [name for name, letter in scripts.items() if letter not in text] == []
    assert all(word in text for word in ("pedido", "Rechnung", "commande", "encomenda", "ordine", "sipariş", "paczka"))


def test_no_mark_is_left_in_what_is_written(threads: list[Json]) -> None:
    text = json.dumps(threads)
    assert text.count("{{") == text.count("{{ 7*7 }}") > 0


def test_conversations_do_not_look_cloned(threads: list[Json]) -> None:
    titles = Counter(
        thread["session"]["session_data"].get("session_name") or str(all_runs(thread)[0]["input"]) for thread in threads
    )
    assert titles.most_common(1)[0][1] <= 4
    assert len(titles) > 0.85 * len(threads)


def test_every_kind_of_run_is_there(threads: list[Json], runs: list[Json]) -> None:
    statuses = Counter(run["status"] for run in runs)
    assert all(statuses[status] >= 5 for status in ("ERROR", "PAUSED", "CANCELLED"))
    assert all(run["content"] for run in runs if run["status"] == "ERROR")
    ids = {run["run_id"] for run in runs}
    parents = [run["parent_run_id"] for run in runs if run.get("parent_run_id")]
    assert len(parents) >= 5
    assert set(parents) <= ids
    assert {thread["session"]["session_type"] for thread in threads} == {"agent", "team", "workflow"}


def test_the_first_token_comes_before_the_end_of_its_call_and_of_its_run(runs: list[Json]) -> None:
    found = 0
    for run in runs:
        first = run["metrics"].get("time_to_first_token")
        calls = [one["metrics"] for one in run.get("messages") or [] if one["role"] == "assistant" and "metrics" in one]
        if first is not None:
            found += 1
            assert all(first < end for end in (run["metrics"]["duration"], *(one["duration"] for one in calls[:1])))
        for call in calls:
            assert call.get("time_to_first_token", 0) <= call["duration"]
    assert found > 900


def test_tool_results_have_real_sizes(runs: list[Json]) -> None:
    sizes = sorted(len(tool["result"].encode()) for run in runs for tool in run.get("tools", []) if tool["result"])
    looked_up = [size for size in sizes if size > 400]
    assert len(looked_up) > 0.5 * len(sizes)
    assert sum(2000 <= size <= 8192 for size in looked_up) > 0.75 * len(looked_up)
    assert sizes[-1] > 20_000
    assert any(tool["tool_call_error"] for run in runs for tool in run.get("tools", []))


def test_some_threads_are_shared_and_some_have_no_owner(threads: list[Json]) -> None:
    shared = [thread for thread in threads if len({run.get("user_id") for run in all_runs(thread)}) > 1]
    assert len(shared) >= 8
    assert {thread["session"]["user_id"] is None for thread in shared} == {True, False}
    # as agno 3.1 writes them: the index repeats where the caller sees only its own runs
    assert any(len({row["run_index"] for row in thread["runs"]}) < len(thread["runs"]) for thread in shared)


def test_the_longest_thread_has_400_runs_and_the_shortest_two_words(threads: list[Json]) -> None:
    assert max(len(all_runs(thread)) for thread in threads) == 400
    texts = [
        f"{run['input']['input_content']} {run['content']}"
        for thread in threads
        if len(all_runs(thread)) == 1 and isinstance((run := all_runs(thread)[0])["input"], dict)
    ]
    assert min(len(text.split()) for text in texts) == 2


def test_hostile_odd_and_heavy_things_are_among_them(threads: list[Json], runs: list[Json]) -> None:
    roles = {
        role: "\n".join(
            str(message["content"])
            for run in runs
            for message in run.get("messages", [])
            if message["role"] == role and "content" in message
        )
        for role in ("user", "assistant")
    }
    for text in roles.values():
        assert "<script>" in text
        assert "onerror=" in text
        assert "](javascript:" in text
    assert all(mark in roles["assistant"] for mark in ("```python", "|---|", "## ", "- [x]", "> "))
    ids = "".join(thread["session"]["session_id"] for thread in threads)
    assert all(mark in ids for mark in ("/", "?", "#", "🛟", "שיחה", "محادثة", "  ", "\n", '"', "%", "<"))
    fields = {key for run in runs for message in run.get("messages", []) for key in message}
    assert {"images", "files", "audio", "tool_calls", "metrics", "provider_data"} <= fields
    assert any(
        isinstance(message["content"], list)
        for run in runs
        for message in run.get("messages", [])
        if "content" in message
    )
    assert sum(thread["session"]["summary"] is not None for thread in threads) > 20
    assert sum("session_name" in thread["session"]["session_data"] for thread in threads) > 60


def test_copies_of_earlier_turns_are_only_in_old_threads(now: int, made: dict[str, list[Json]]) -> None:
    def copied(thread: Json) -> bool:
        return any(message["from_history"] for run in all_runs(thread) for message in run.get("messages", []))

    old = [thread for thread in made[RESEARCH["id"]] if copied(thread)]
    assert len(old) == 4
    assert all(thread["session"]["updated_at"] < now - 30 * DAY for thread in old)
    assert not any(copied(thread) for thread in made[SUPPORT["id"]])


# Their shape


@pytest.mark.parametrize(("agent", "keys_of_tools"), [(SUPPORT, 21), (RESEARCH, 20)])
def test_a_completed_run_has_every_key_that_agno_writes(
    made: dict[str, list[Json]], agent: Json, keys_of_tools: int
) -> None:
    whole = [
        run
        for thread in made[agent["id"]]
        if thread["session"]["session_type"] == "agent" and not (thread["session"]["runs"] and thread["runs"])
        for run in all_runs(thread)
        if run["status"] == "COMPLETED" and run.get("user_id") and run.get("tools") and not run.get("parent_run_id")
    ]
    assert {frozenset(run) for run in whole} == {RUN_KEYS}
    assert {len(tool) for run in whole for tool in run["tools"]} == {keys_of_tools}
    used = [thread["session"]["session_data"]["session_metrics"] for thread in made[agent["id"]]]
    assert all(
        metrics["total_tokens"] == metrics["input_tokens"] + metrics["output_tokens"]
        for metrics in used
        if "input_tokens" in metrics
    )


def test_session_metrics_are_the_sum_of_the_runs(threads: list[Json]) -> None:
    for thread in threads:
        if thread["session"]["session_type"] != "workflow":
            counted = sum(run["metrics"].get("total_tokens", 0) for run in all_runs(thread))
            assert thread["session"]["session_data"]["session_metrics"].get("total_tokens", 0) == counted


READ_BACK = """
import json, sys
from agno.session import AgentSession, TeamSession, WorkflowSession
kinds = {"agent": AgentSession, "team": TeamSession, "workflow": WorkflowSession}
seen = []
for row in json.load(sys.stdin):
    session = kinds[row["session_type"]].from_dict(row)
    seen.append([session.session_id, len(session.runs), bool(getattr(session, "summary", None))])
    if row["session_type"] != "workflow":
        seen[-1].append(len(session.get_messages()))
        for run in session.runs:
            again = run.to_dict()
            assert again["run_id"] and again["status"], again
            json.dumps(again, default=str)
json.dump(seen, sys.stdout)
"""


@pytest.mark.parametrize("version", [environments.AGNO_2, environments.AGNO_3])
def test_agno_itself_reads_every_thread(threads: list[Json], version: str) -> None:
    rows = [{**thread["session"], "runs": all_runs(thread)} for thread in threads]
    if version == environments.AGNO_2:  # which cannot know what 3.1 writes for a workflow
        rows = [row for row in rows if row["session_type"] != "workflow"]
    program = [environments.python(version), "-c", READ_BACK]
    done = subprocess.run(program, input=json.dumps(rows), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout[done.stdout.index("[[") :])
    assert [one[:3] for one in seen] == [
        [row["session_id"], len(row["runs"]), row["summary"] is not None] for row in rows
    ]
    assert sum(one[3] for one in seen if len(one) > 3) > 3000
