"""The demo: four agents whose recorded threads have the shapes that Agno writes, moved to any moment."""

import json
import re
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django_tenants.utils import schema_context

from memory.demo import load
from memory.index import repair
from studio.agents import memory_settings
from studio.models import Agent, AuditEvent, MemorySettingsVersion
from tests.conformance import environments

Json = dict[str, Any]

SUPPORT, RESEARCH, WEBHOOK, SALES = load.AGENTS
DAY = 86400
FILES = Path(load.__file__).parent
NOW = int(time.time())
# the moments at which the demo is loaded
MOMENTS = {"today": NOW, "in 400 days and 9 hours": NOW + 400 * DAY + 9 * 3600}
# of a completed run with tool calls, in both generations of Agno
RUN_KEYS = frozenset(
    {"agent_id", "agent_name", "content", "content_type", "created_at", "events", "input", "messages", "metadata"}
    | {"metrics", "model", "model_provider", "model_provider_data", "run_id", "session_id", "session_state", "status"}
    | {"tools", "user_id"}
)


def all_runs(thread: Json) -> list[Json]:
    return [*(thread["session"]["runs"] or []), *(row["run_data"] for row in thread["runs"])]


def named_values(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Every value of a JSON tree that is no list or object, with the name it stands under."""
    if isinstance(value, dict):
        for key, part in value.items():
            yield from named_values(part, key)
    elif isinstance(value, list):
        for part in value:
            yield from named_values(part, name)
    else:
        yield name, value


@pytest.fixture(scope="module", params=MOMENTS.values(), ids=MOMENTS)
def now(request: pytest.FixtureRequest) -> int:
    moment: int = request.param
    return moment


@pytest.fixture(scope="module")
def made(now: int) -> dict[str, list[Json]]:
    return {one["id"]: load.threads(one, now) for one in load.AGENTS}


@pytest.fixture(scope="module")
def threads(made: dict[str, list[Json]]) -> list[Json]:
    return [thread for group in made.values() for thread in group]


@pytest.fixture(scope="module")
def runs(threads: list[Json]) -> list[Json]:
    return [run for thread in threads for run in all_runs(thread)]


def demo(**options: Any) -> str:
    out = StringIO()
    call_command("demo", stdout=out, **options)
    return out.getvalue()


def state() -> tuple[Any, ...]:
    """Everything that a second run could have changed."""
    rows: list[Any] = [list(Agent.objects.values_list()), list(MemorySettingsVersion.objects.values_list())]
    for one in load.AGENTS:
        with schema_context(Agent.objects.get(pk=one["id"]).schema_name), connection.cursor() as cursor:
            cursor.execute("select md5(string_agg(t::text, '' order by session_id)) from agno_sessions t")
            rows.append(cursor.fetchone())
            cursor.execute("select md5(string_agg(t::text, '' order by run_id)) from agno_runs t")
            rows.append(cursor.fetchone())
    return (*rows, AuditEvent.objects.count())


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


# When they happened


def test_a_thread_is_moved_by_one_span_and_nothing_else_in_it_changes(made: dict[str, list[Json]]) -> None:
    for before, after in pairs(made):
        span = after["session"]["created_at"] - before["session"]["created_at"]
        for (name, old), (same, new) in zip(named_values(before), named_values(after), strict=True):
            assert name == same
            if isinstance(old, int | float) and name.endswith(("_at", "_time")):
                assert new == pytest.approx(old + span, abs=1e-3)
            elif not isinstance(old, str):
                assert new == old


def test_threads_older_than_a_day_are_moved_by_whole_days(now: int, made: dict[str, list[Json]]) -> None:
    exactly = 0
    for before, after in pairs(made):
        span = after["session"]["updated_at"] - before["session"]["updated_at"]
        if after["session"]["updated_at"] < now - DAY:
            assert span % DAY == 0
            assert datetime.fromtimestamp(after["session"]["updated_at"], UTC).hour >= 5
        else:
            exactly += span == now - before["recorded_at"]
    assert exactly > 20


def test_nothing_lies_ahead(now: int, threads: list[Json]) -> None:
    times = [
        value
        for name, value in named_values(threads)
        if name.endswith(("_at", "_time")) and isinstance(value, int | float) and name != "recorded_at"
    ]
    assert len(times) > 8000
    assert now - 61 * DAY < min(times) < max(times) <= now
    written = re.findall(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d", json.dumps(threads))
    assert len(written) > 3000
    assert max(datetime.fromisoformat(f"{one}+00:00").timestamp() for one in written) <= now


def test_written_dates_lie_around_their_thread(threads: list[Json]) -> None:
    found = 0
    for thread in threads:
        days = [
            (date.fromisoformat(text.replace("/", "-")) - began(thread)).days
            for text in re.findall(r"(?<![\d-])20\d\d(?:-\d\d-|/\d\d/)\d\d", json.dumps(thread))
        ]
        found += len(days)
        assert all(-10 * 366 < day < 120 for day in days)
        months = re.findall(r'\\"(20\d\d-\d\d)\\"', json.dumps(thread["session"]["runs"]))
        assert all(-64 * 31 < (date.fromisoformat(f"{month}-15") - began(thread)).days < 80 for month in months)
    assert found > 5000


def test_spoken_dates_lie_around_their_thread(made: dict[str, list[Json]]) -> None:
    languages = Counter()
    for before, after in pairs(made):
        lang = before.get("lang", "en")
        for day in spoken(json.dumps(after, ensure_ascii=False), lang, began(after)):
            languages[lang] += 1
            assert -7 <= (day - began(after)).days <= 75, (day, after["session"]["session_id"])
    assert languages.total() > 500
    assert len(languages) > 12


def test_spoken_years_lie_around_their_thread(made: dict[str, list[Json]]) -> None:
    found = 0
    for thread in made[RESEARCH["id"]]:
        years = [int(year) for year in re.findall(r'"year\\": (\d{4})', json.dumps(thread))]
        found += len(years)
        assert all(began(thread).year - 9 <= year <= began(thread).year for year in years)
    assert found > 100


def pairs(made: dict[str, list[Json]]) -> Iterator[tuple[Json, Json]]:
    """Every thread as it was recorded and as it was moved."""
    for one in load.AGENTS:
        lines = (FILES / one["threads"]).read_text().splitlines() if one["threads"] else []
        yield from zip(map(json.loads, lines), made[one["id"]], strict=True)


def began(thread: Json) -> date:
    return datetime.fromtimestamp(thread["session"]["created_at"], UTC).date()


def spoken(text: str, lang: str, near: date) -> Iterator[date]:
    """Every date that is said in a language's own way, in the year in which it is nearest to another."""
    form = json.loads((FILES / "dates.json").read_text())[lang]
    day = r"(?P<d>(?<!\d)\d{1,2})"
    pattern = re.escape(form["day"]).replace(r"\{d\}", day).replace(r"\{m\}", f"(?P<m>{'|'.join(form['months'])})")
    for match in re.finditer(pattern, text):
        month = form["months"].index(match["m"]) + 1
        if (month, int(match["d"])) != (2, 29):
            years = [date(near.year + more, month, int(match["d"])) for more in (-1, 0, 1)]
            yield min(years, key=lambda one: abs(one - near))


def recorded(text: str, **more: Any) -> str:
    """The line of a thread that was recorded at noon on 1 March 2026, two hours after it began and ended."""
    at = int(datetime(2026, 3, 1, 10, tzinfo=UTC).timestamp())
    session = {"session_id": "one", "created_at": at, "updated_at": None, "session_data": {"said": text}}
    return json.dumps({"recorded_at": at + 2 * 3600, "session": session, "runs": [], **more})


@pytest.mark.parametrize(
    ("lang", "said"),
    [
        ("en", "28 February, 13 March, December, 2026, 2025"),
        ("de", "28. Februar, 13. März, Dezember, 2026, 2025"),
        ("ja", "2月28日, 3月13日, 12月, 2026, 2025"),
        ("he", "28 בפברואר, 13 במרץ, דצמבר, 2026, 2025"),
    ],
)
def test_marks_are_said_in_the_language_of_the_thread(lang: str, said: str) -> None:
    line = recorded("{{day-1}}, {{day+12}}, {{month-3}}, {{year}}, {{year-1}}", lang=lang)
    now = json.loads(line)["recorded_at"]
    assert load.move(line, now)["session"]["session_data"]["said"] == said


@pytest.mark.parametrize(
    ("text", "later"),
    [
        ("2026-03-01T09:58:07+00:00", "2026-04-01T08:58:07+00:00"),
        ("2026-03-01 09:58:07.25", "2026-04-01 08:58:07.25"),
        ("\n2026-02-27,", "\n2026-03-30,"),
        ("https://news.example/2026/02/27/1", "https://news.example/2026/03/30/1"),
        ("2026-02", "2026-03"),
        ('{"created_at": 1772359200.5}', '{"created_at": 1775034000.5}'),
        ("gpt-4o-2024-08-06", "gpt-4o-2024-08-06"),
        ("{{ 7*7 }} {{today}} {{day +1}}", "{{ 7*7 }} {{today}} {{day +1}}"),
    ],
)
def test_what_is_a_time_moves_and_what_is_none_stays(text: str, later: str) -> None:
    """Thirty-one days less an hour later, so that the thread began 31 dates later."""
    line = recorded(text)
    moved = load.move(line, json.loads(line)["recorded_at"] + 31 * DAY - 3600)
    assert moved["session"]["session_data"]["said"] == later


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


# The command


@pytest.fixture
def written(db: None) -> str:
    return demo()


def test_the_command_makes_four_agents_whose_index_is_exact(written: str) -> None:
    assert written.count("Added ") == 4
    assert "Added Support Bot (agt-supp2ortbot3) with" in written
    for one in load.AGENTS:
        agent = Agent.objects.get(pk=one["id"])
        made = load.threads(one, NOW)
        with schema_context(agent.schema_name), connection.cursor() as cursor:
            cursor.execute("select count(*), coalesce(sum(runs), 0) from memory_thread")
            assert cursor.fetchone() == (len(made), sum(len(all_runs(thread)) for thread in made))
            cursor.execute("select count(*) from memory_dirty where error <> ''")
            assert cursor.fetchone() == (0,)
            ids = repair.thread_ids(None, 1000)
            assert repair.differences(ids) == []


def test_settings_have_a_history(written: str) -> None:
    versions = {
        one["fields"]["name"]: MemorySettingsVersion.objects.filter(agent_id=one["id"]).count() for one in load.AGENTS
    }
    assert versions == {"Support Bot": 4, "Research Analyst": 3, "Webhook Enricher": 3, "Sales Assistant": 1}
    webhook = Agent.objects.select_related("memory").get(pk=WEBHOOK["id"])
    assert memory_settings.values_of(webhook.memory)["session_storage"] is False
    dates = list(MemorySettingsVersion.objects.filter(agent_id=SUPPORT["id"]).values_list("created_at", flat=True))
    assert dates == sorted(dates, reverse=True)
    assert dates[-1] == Agent.objects.get(pk=SUPPORT["id"]).created_at


def test_the_audit_log_says_that_the_studio_did_it(written: str) -> None:
    events = AuditEvent.objects.filter(agent_id__in=[one["id"] for one in load.AGENTS])
    assert {event.actor for event in events} == {"Agent Studio"}
    assert Counter(event.action for event in events) == {"agent.create": 4, "settings.save": 7}


def test_a_second_run_changes_nothing_and_says_so(written: str) -> None:
    before = state()
    assert demo() == "The demo agents are there already; nothing was changed. --reset makes them again.\n"
    assert state() == before


def test_it_makes_what_is_missing(written: str) -> None:
    Agent.objects.filter(pk=SALES["id"]).delete()
    with connection.cursor() as cursor:
        cursor.execute("drop schema ag_agt_salesassis27 cascade")
    assert demo() == "Added Sales Assistant (agt-salesassis27) with 0 threads.\n"


def test_a_reset_makes_the_four_again_and_leaves_others_alone(written: str, ada: Agent) -> None:
    with schema_context(ada.schema_name), connection.cursor() as cursor:
        cursor.execute("insert into agno_sessions (session_id, session_type, created_at) values ('kept', 'agent', 1)")
    with schema_context(Agent.objects.get(pk=SUPPORT["id"]).schema_name), connection.cursor() as cursor:
        cursor.execute("delete from agno_sessions where session_id = 'ops-desk'")
    said = demo(reset=True)
    assert said.count("Removed ") == said.count("Added ") == 4
    with schema_context(Agent.objects.get(pk=SUPPORT["id"]).schema_name), connection.cursor() as cursor:
        cursor.execute("select runs from memory_thread where session_id = 'ops-desk'")
        assert cursor.fetchone() == (400,)
    with schema_context(ada.schema_name), connection.cursor() as cursor:
        cursor.execute("select count(*) from agno_sessions where session_id = 'kept'")
        assert cursor.fetchone() == (1,)
