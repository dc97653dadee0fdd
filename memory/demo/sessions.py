"""Put runs together to a session row, and to the rows of agno_runs."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from random import Random

from memory.demo.runs import RunBuilder
from memory.demo.shapes import Bot, Call, Json, Member, Turn, Usage, new_id, tokens
from memory.demo.tools.common import when

# how many earlier runs are sent along with a question
_HISTORY = 10


@dataclass(slots=True)
class Thread:
    """One agno_sessions row and its agno_runs rows, ready to be written."""

    session: Json
    runs: list[Json] = field(default_factory=list)


@dataclass(slots=True)
class Plan:
    """What is to become a thread."""

    bot: Bot
    session_id: str
    turns: list[Turn]
    owner: str | None = None
    name: str | None = None
    summary: str | None = None
    topics: Sequence[str] = ()
    team: Json | None = None
    # turns that agno 2.5 wrote into the column before the agent was upgraded to 3.1
    column_turns: int = 0
    copies_history: bool = False
    # agno 3.1 numbers runs by what the caller can see: run_index repeats in a thread of several users
    index_repeats: bool = False


def build(plan: Plan, rng: Random) -> Thread:
    """Play a plan's turns and return the rows that Agno would have stored."""
    bot, team = plan.bot, plan.team
    total = Usage()
    column: list[Json] = []
    table: list[Json] = []
    sent: list[int] = []
    ended = 0.0
    for number, turn in enumerate(plan.turns):
        writer = replace(bot, layout="column") if number < plan.column_turns else bot
        runs, used, end = _play(plan, writer, rng, turn, sum(sent[-_HISTORY:]))
        if plan.copies_history and column and "messages" in runs[-1]:
            runs[-1]["messages"][1:1] = _copies(column[-3:])
        (column if writer.layout == "column" else table).extend(runs)
        total.add(used)
        ended = max(ended, end)
        if turn.status == "COMPLETED":
            sent.append(tokens(turn.text) + tokens(turn.reply) + sum(tokens(call.result) for call in turn.calls))

    session = session_row(
        plan.session_id, "team" if team else "agent", int(plan.turns[0].at), int(ended), total.with_details(bot)
    )
    session.update(user_id=plan.owner, runs=column or None)
    if team:
        session.update(team_id=team["team_id"], team_data={**team, "model": bot.model_data()})
    else:
        data = {"name": bot.name, "model": bot.model_data(), "agent_id": bot.agent_id}
        session.update(agent_id=bot.agent_id, agent_data=data)
    if plan.name:
        session["session_data"]["session_name"] = plan.name
    if plan.summary:
        session["summary"] = {"summary": plan.summary, "topics": list(plan.topics), "updated_at": when(ended)[:19]}
    return Thread(session, [run_row(run, _index(plan, run, number)) for number, run in enumerate(table, len(column))])


def session_row(session_id: str, kind: str, created: int, updated: int, metrics: Json) -> Json:
    """An agno_sessions row with nothing in it that only some kinds of session have."""
    return {
        "session_id": session_id,
        "session_type": kind,
        "agent_id": None,
        "team_id": None,
        "workflow_id": None,
        "user_id": None,
        "session_data": {"session_state": {}, "session_metrics": metrics},
        "agent_data": None,
        "team_data": None,
        "workflow_data": None,
        "metadata": None,
        "runs": None,
        "summary": None,
        "created_at": created,
        "updated_at": updated,
    }


def run_row(run: Json, index: int) -> Json:
    """An agno_runs row."""
    kinds = ("workflow", "team", "agent")
    return {
        "run_id": run["run_id"],
        "session_id": run["session_id"],
        "run_type": next(kind for kind in kinds if f"{kind}_id" in run),
        "agent_id": run.get("agent_id"),
        "team_id": run.get("team_id"),
        "workflow_id": run.get("workflow_id"),
        "user_id": run.get("user_id"),
        "parent_run_id": run.get("parent_run_id"),
        "status": run["status"],
        "run_index": index,
        "run_data": run,
        "created_at": run["created_at"],
        "updated_at": int(run["created_at"] + run["metrics"]["duration"]),
    }


def thread_id(rng: Random) -> str:
    """An ordinary session id: a UUID, or what chat widgets make."""
    if rng.random() < 0.6:
        return new_id(rng)
    return "sess_" + "".join(rng.choice("0123456789abcdefghjkmnpqrstvwxyz") for _ in range(10))


def _play(plan: Plan, bot: Bot, rng: Random, turn: Turn, context: int) -> tuple[list[Json], Usage, float]:
    """Play one turn: its run, and before it, as Agno stores them, the runs of members it called."""
    tool = "delegate_task_to_member" if plan.team else "ask_colleague"
    asked = [
        Call(tool, {"member_id": member.id, "task": member.task}, member.answer, seconds=4.5) for member in turn.members
    ]
    builder = RunBuilder(bot, rng, plan.session_id, replace(turn, calls=[*asked, *turn.calls]), context)
    total = Usage()
    runs = []
    for member, call in zip(turn.members, asked, strict=True):
        child = _member(bot, rng, plan.session_id, turn, member)
        runs.append({**child.play(), "parent_run_id": builder.run_id})
        total.add(child.usage)
        if not plan.team:  # a team's tool does not name the run it started
            call.child_run_id = child.run_id
    run = builder.play()
    if plan.team:
        run.update(team_id=plan.team["team_id"], team_name=plan.team["name"], member_responses=[])
        del run["agent_id"], run["agent_name"]
    total.add(builder.usage)
    return [*runs, run], total, builder.clock


def _member(bot: Bot, rng: Random, session_id: str, turn: Turn, member: Member) -> RunBuilder:
    name = member.id.replace("-", " ").capitalize()
    helper = replace(bot, agent_id=member.id, name=name, instructions=f"<your_role>\n{name}\n</your_role>")
    task = Turn(member.task, turn.at + 1.5, turn.user_id, member.answer, [member.call])
    return RunBuilder(helper, rng, session_id, task, 0)


def _copies(runs: list[Json]) -> list[Json]:
    """Messages of earlier runs, as old versions of Agno copied them into each new one."""
    return [
        {**message, "from_history": True}
        for run in runs
        for message in run.get("messages", [])
        if message["role"] != "system" and not message["from_history"]
    ]


def _index(plan: Plan, run: Json, number: int) -> int:
    return 0 if plan.index_repeats and run.get("user_id") != plan.owner else number
