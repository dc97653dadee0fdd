"""One run of an Agno workflow, as agno 3.1 stores it: the runs of its steps inside its own."""

from dataclasses import dataclass, replace
from random import Random

from memory.demo.runs import RunBuilder
from memory.demo.sessions import Thread, run_row, session_row
from memory.demo.shapes import Bot, Json, Turn, Usage, new_id

_MEDIA = ("images", "videos", "audio", "files")


@dataclass(frozen=True, slots=True)
class Step:
    name: str
    question: str
    answer: str


def build(bot: Bot, rng: Random, session_id: str, name: str, steps: list[Step], at: float) -> Thread:
    """Run the steps one after the other and return the thread that holds them."""
    bot = replace(bot, layout="table")
    flow = {"workflow_id": name.lower().replace(" ", "-"), "name": name}
    run_id, clock, total = new_id(rng), at, Usage()
    executed: list[Json] = []
    for step in steps:
        helper = replace(bot, agent_id=step.name.lower(), name=step.name)
        builder = RunBuilder(helper, rng, session_id, Turn(step.question, clock, reply=step.answer), 0)
        executed.append({**builder.play(), "parent_run_id": run_id, "workflow_step_id": new_id(rng)})
        clock = builder.clock
        total.add(builder.usage)
    results = [_result(step, run) for step, run in zip(steps, executed, strict=True)]
    run: Json = {
        "run_id": run_id,
        "input": steps[0].question,
        "content": steps[-1].answer,
        "content_type": "str",
        "workflow_id": flow["workflow_id"],
        "workflow_name": name,
        "session_id": session_id,
        "created_at": int(at),
        "status": "COMPLETED",
        "metadata": {},
        **{kind: [] for kind in _MEDIA},
        "step_results": results,
        "step_executor_runs": executed,
        "metrics": {"steps": {result["step_name"]: _measured(result) for result in results}, "duration": clock - at},
    }
    shown = [{"name": step.name, "description": None, "type": "Step"} for step in steps]
    session = session_row(session_id, "workflow", int(at), int(clock), total.with_details(bot))
    session.update(workflow_id=flow["workflow_id"], workflow_data={**flow, "steps": shown})
    return Thread(session, [run_row(run, 0)])


def _result(step: Step, run: Json) -> Json:
    return {
        "content": step.answer,
        "step_name": step.name,
        "step_id": run["workflow_step_id"],
        "step_type": "Step",
        "executor_type": "agent",
        "executor_name": step.name,
        "step_run_id": run["run_id"],
        **dict.fromkeys(_MEDIA),
        "metrics": run["metrics"],
        "success": True,
        "error": None,
        "stop": False,
        "is_paused": False,
    }


def _measured(result: Json) -> Json:
    return {name: result[name] for name in ("step_name", "executor_type", "executor_name", "metrics")}
