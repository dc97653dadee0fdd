"""Random writes through the real tables, and after each the index equals a recount in Python."""

import json
from typing import Any

import pytest
from django.db import connection, transaction
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from studio.models import Agent
from tests.memory.index import oracle
from tests.rounds import rounds

SESSIONS = st.sampled_from(["s1", "s2", "s/3 ü"])
RUN_IDS = st.sampled_from([f"r{n}" for n in range(5)])
USERS = st.sampled_from([None, "ann", "bob", ""])
# in seconds, milliseconds and microseconds, and such as are none
SECONDS = st.integers(1_700_000_000, 1_700_000_009)
TIMES = SECONDS | SECONDS.map(lambda s: s * 1000 + 5) | SECONDS.map(lambda s: s * 10**6) | st.sampled_from([0, -5])
STATUS = st.sampled_from(["COMPLETED", "ERROR", "PAUSED", "RUNNING", None])
NUMBERS = st.sampled_from([None, 0, 7, 3.9, -4, "12", True, 10**30])
MESSAGES = st.lists(
    st.one_of(
        st.fixed_dictionaries(
            {
                "role": st.sampled_from(["user", "assistant", "tool", "system"]),
                "content": st.sampled_from(["", " a\n b", "ü😀"]),
            },
            optional={
                "from_history": st.booleans(),
                "tool_call_error": st.booleans(),
                "created_at": TIMES | st.sampled_from(["1700000003", "soon", None, True, []]),
            },
        ),
        st.sampled_from([None, 3, "text", []]),
    ),
    max_size=4,
)
INSIDE = st.fixed_dictionaries({"run_id": RUN_IDS | st.just("inside"), "status": STATUS, "messages": MESSAGES})
RUNS = st.fixed_dictionaries(
    {"run_id": RUN_IDS, "user_id": USERS, "status": STATUS, "created_at": TIMES},
    optional={
        "parent_run_id": st.sampled_from([None, "r0"]),
        "messages": st.one_of(MESSAGES, st.sampled_from([None, {}, "x", 1])),
        "member_responses": st.lists(INSIDE | st.none(), max_size=2) | st.just("x"),
        "step_executor_runs": st.lists(INSIDE.map(lambda one: {**one, "member_responses": [one]}), max_size=1),
        "tools": st.sampled_from([None, [1, 2], {}, "x"]),
        "metrics": st.one_of(st.none(), st.fixed_dictionaries({"input_tokens": NUMBERS, "output_tokens": NUMBERS})),
        "input": st.sampled_from([{}, {"input_content": "hello  there"}, {"input_content": 3}, "a workflow's  text"]),
        "content": st.sampled_from([None, "answer", "  "]),
    },
)
COLUMN = st.one_of(
    st.none(),
    st.sampled_from(["null", "{}", '"x"', "[1, null, []]", '{"run_id": "r1"}']),
    st.lists(RUNS, max_size=4).map(json.dumps),
    st.lists(RUNS, max_size=2).map(json.dumps).map(json.dumps),
)


class Index(RuleBasedStateMachine):
    schema = ""

    def sql(self, query: str, params: list[Any] | None = None) -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(query, params or [])

    @initialize(column=COLUMN, table=st.lists(RUNS, max_size=3), user=USERS)
    def begin_with_three_threads(self, column: str | None, table: list[dict[str, Any]], user: str | None) -> None:
        self.sql("truncate agno_sessions cascade")
        self.sql("delete from memory_tombstone")
        self.agno_2_writes_a_turn("s1", user, column, 1_700_000_000)
        self.agno_3_writes_a_session("s2", user, 1_700_000_000, None, None, False)
        self.agno_3_writes_a_session("s/3 ü", "ann", 1_700_000_000, None, 4, True)
        for index, item in enumerate(table):
            self.agno_3_writes_a_run("s2", item, index)

    @rule(sid=SESSIONS, user=USERS, runs=COLUMN, at=TIMES)
    def agno_2_writes_a_turn(self, sid: str, user: str | None, runs: str | None, at: int) -> None:
        self.sql(
            "insert into agno_sessions (session_id, session_type, user_id, runs, created_at, updated_at)"
            " values (%s, 'agent', %s, %s, %s, %s) on conflict (session_id) do update set user_id = excluded.user_id,"
            " runs = excluded.runs, updated_at = %s"
            " where agno_sessions.user_id = excluded.user_id or agno_sessions.user_id is null",
            [sid, user, runs, at, at, at + 1],
        )

    @rule(
        sid=SESSIONS, user=USERS, at=TIMES, name=st.sampled_from([None, "Name"]), tokens=NUMBERS, summary=st.booleans()
    )
    def agno_3_writes_a_session(
        self, sid: str, user: str | None, at: int, name: str | None, tokens: Any, summary: bool
    ) -> None:
        data = json.dumps({"session_name": name, "session_metrics": {"input_tokens": tokens}})
        self.sql(
            "insert into agno_sessions (session_id, session_type, user_id, session_data, summary, created_at)"
            " values (%s, 'team', %s, %s, %s, %s) on conflict (session_id) do update set user_id = excluded.user_id,"
            " session_data = excluded.session_data, summary = excluded.summary, updated_at = %s",
            [sid, user, data, json.dumps({"summary": "s"} if summary else None), at, at + 2],
        )

    @rule(sid=SESSIONS, run=RUNS, index=st.sampled_from([None, 0, 1, 2]))
    def agno_3_writes_a_run(self, sid: str, run: dict[str, Any], index: int | None) -> None:
        self.sql(
            "insert into agno_runs (run_id, session_id, run_type, user_id, parent_run_id, status, run_index, run_data,"
            " created_at) select %s, session_id, 'agent', %s, %s, %s, %s, %s, %s from agno_sessions"
            " where session_id = %s on conflict (run_id) do update set status = excluded.status,"
            " run_data = excluded.run_data, user_id = excluded.user_id, parent_run_id = excluded.parent_run_id",
            [
                run["run_id"],
                run["user_id"],
                run.get("parent_run_id"),
                run["status"],
                index,
                json.dumps(run),
                run["created_at"],
                sid,
            ],
        )

    @rule(sid=SESSIONS)
    def the_column_moves_to_the_table(self, sid: str) -> None:
        self.sql(
            "insert into agno_runs (run_id, session_id, run_type, user_id, status, run_index, run_data, created_at)"
            " select e.run->>'run_id', s.session_id, 'agent', e.run->>'user_id', e.run->>'status', e.n, e.run,"
            " (e.run->>'created_at')::bigint from agno_sessions s,"
            " jsonb_array_elements(case jsonb_typeof(s.runs) when 'array' then s.runs else '[]' end)"
            " with ordinality e(run, n) where s.session_id = %s and e.run->>'run_id' is not null"
            " on conflict do nothing",
            [sid],
        )

    @rule(sid=SESSIONS)
    def the_column_is_cleared(self, sid: str) -> None:
        self.sql("update agno_sessions set runs = null where session_id = %s", [sid])

    @rule(run_id=RUN_IDS, at=TIMES)
    def a_run_changes_by_hand(self, run_id: str, at: int) -> None:
        self.sql("update agno_runs set created_at = %s, run_index = null where run_id = %s", [at, run_id])

    @rule(run_id=RUN_IDS, run=RUNS)
    def a_run_goes_on(self, run_id: str, run: dict[str, Any]) -> None:
        self.sql(
            "update agno_runs set status = %s, run_data = %s where run_id = %s",
            [run["status"], json.dumps(run), run_id],
        )

    @rule(run_id=RUN_IDS)
    def a_run_is_deleted(self, run_id: str) -> None:
        self.sql("delete from agno_runs where run_id = %s", [run_id])

    @rule(sid=SESSIONS)
    def a_thread_is_deleted_and_comes_anew(self, sid: str) -> None:
        self.sql("delete from agno_sessions where session_id = %s", [sid])
        self.sql("delete from memory_tombstone")

    @rule(sid=SESSIONS)
    def a_thread_is_renamed_in_its_key(self, sid: str) -> None:
        self.sql(
            "update agno_sessions s set session_id = 'moved' where session_id = %s"
            " and not exists (select 1 from agno_runs r where r.session_id = s.session_id)"
            " and not exists (select 1 from agno_sessions where session_id = 'moved')",
            [sid],
        )

    @rule()
    def several_threads_are_deleted(self) -> None:
        self.sql("delete from agno_sessions where session_id in ('s1', 's2', 'moved')")
        self.sql("delete from memory_tombstone")

    @rule()
    def the_runs_are_truncated(self) -> None:
        self.sql("truncate agno_runs")

    @rule(sid=SESSIONS, run=RUNS)
    def a_write_is_rolled_back(self, sid: str, run: dict[str, Any]) -> None:
        with transaction.atomic():
            self.agno_2_writes_a_turn(sid, "ann", json.dumps([run]), 1_700_000_000)
            transaction.set_rollback(True)

    @invariant()
    def the_index_is_exact(self) -> None:
        oracle.assert_exact()
        with connection.cursor() as cursor:
            cursor.execute("select session_id, error from memory_backlog")
            assert cursor.fetchall() == []


@pytest.mark.attack
@pytest.mark.django_db
def test_the_index_is_exact_after_any_writes(ada: Agent) -> None:
    connection.set_schema(ada.schema_name)
    run_state_machine_as_test(
        Index,
        settings=settings(
            max_examples=rounds(20, 100),
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.explicit, Phase.reuse, Phase.generate],
            print_blob=True,
        ),
    )
