"""An agent's process, with the real xpander-sdk: takes steps as JSON, prints one JSON object of what they gave.

argv[1] is a list of {"do": name, ...}; the studio and the key are in the environment, as the SDK reads
them. It runs inside an environment of environments.py, so it imports nothing of the studio.
"""

import asyncio
import json
import sys
from datetime import UTC, datetime
from typing import Any

import agno.agent
from echo import Echo, look_up, plain
from worries import Worries
from xpander_sdk import Agents, Backend, Configuration, Task
from xpander_sdk.exceptions.module_exception import ModuleException
from xpander_sdk.models.user import User
from xpander_sdk.modules.tasks.models.task import AgentExecutionInput

# What of the adapter's arguments is about memory.
MEMORY = (
    "db",
    "session_id",
    "user_id",
    "add_history_to_context",
    "num_history_runs",
    "max_tool_calls_from_history",
    "enable_session_summaries",
)


async def agents() -> list[dict[str, Any]]:
    """All agents, as alist() gives them."""
    return [json.loads(agent.model_dump_json()) for agent in await Agents().alist()]


async def load(agent_id: str, version: int | None = None) -> dict[str, Any]:
    """An agent with its settings, as aget() gives it."""
    agent = await Agents().aget(agent_id, version)
    return {
        "id": agent.id,
        "name": agent.name,
        "framework": agent.framework.value,
        "model": [agent.model_provider, agent.model_name],
        "instructions": agent.instructions.general,
        "version": agent.version,
        "settings": agent.agno_settings.model_dump(),
    }


async def address(agent_id: str) -> str:
    return (await (await Agents().aget(agent_id)).aget_connection_string()).connection_uri.uri


async def databases(agent_id: str) -> list[list[str]]:
    """The class and schema of both clients that aget_db() makes."""
    agent = await Agents().aget(agent_id)
    made = [await agent.aget_db(async_db=asynchronous) for asynchronous in (True, False)]
    return [[type(db).__name__, db.db_schema] for db in made]


async def adapted(agent_id: str, text: str, session_id: str, user_id: str, is_async: bool = True) -> dict[str, Any]:
    """The arguments that the SDK's adapter makes of the settings, for a message in a thread."""
    task = Task(
        id=session_id,
        agent_id=agent_id,
        organization_id="any",
        created_at=datetime.now(UTC),
        configuration=Configuration(),
        input=AgentExecutionInput(text=text, user=User(id=user_id, email=user_id)),
    )
    made = await Backend().aget_args(
        agent_id=agent_id, task=task, tools=[look_up], override={"model": Echo()}, is_async=is_async
    )
    # for the SDK's own worker, which takes it out as well
    made.pop("_xpander_hidden_mcp_toolkits", None)
    return made


async def arguments(agent_id: str, session_id: str, user_id: str, is_async: bool = True) -> dict[str, Any]:
    """What the adapter hands on of memory; of the database its class and schema."""
    made = await adapted(agent_id, "Hello", session_id, user_id, is_async)
    if "db" in made:
        made["db"] = [type(made["db"]).__name__, made["db"].db_schema]
    return {name: made[name] for name in MEMORY if name in made}


async def talk(agent_id: str, texts: list[str], session_id: str, user_id: str) -> list[list[dict[str, Any]]]:
    """Let an Agno agent made by the adapter talk; return what its model was sent each turn, but for the system's."""
    heard = []
    for text in texts:
        agent = agno.agent.Agent(**await adapted(agent_id, text, session_id, user_id))
        await agent.arun(text)
        heard.append([message for message in agent.model.sent[0] if message["role"] != "system"])
    return heard


async def sessions(agent_id: str, user_id: str) -> list[list[Any]]:
    """Id and number of messages of a user's sessions."""
    found = await (await Agents().aget(agent_id)).aget_user_sessions(user_id=user_id)
    return sorted([session.session_id, len(session.get_messages())] for session in found)


async def session(agent_id: str, session_id: str) -> list[dict[str, Any]] | None:
    """The messages of one session."""
    found = await (await Agents().aget(agent_id)).aget_session(session_id=session_id)
    return found and [plain(message) for message in found.get_messages()]


async def delete(agent_id: str, session_id: str) -> None:
    await (await Agents().aget(agent_id)).adelete_session(session_id=session_id)


async def as_another(key: str, agent_id: str) -> str:
    """Reach for the agent's database with another key."""
    agent = await Agents(configuration=Configuration(api_key=key)).aget(agent_id)
    return (await agent.aget_connection_string()).connection_uri.uri


STEPS = (agents, load, address, databases, arguments, talk, sessions, session, delete, as_another)


async def main(steps: list[dict[str, Any]]) -> list[Any]:
    known = {step.__name__: step for step in STEPS}
    answers: list[Any] = []
    for step in steps:
        try:
            answers.append(await known[step.pop("do")](**step))
        except ModuleException as error:
            answers.append({"raised": "ModuleException", "status": error.status_code, "reason": error.description})
        except (NotImplementedError, LookupError) as error:
            answers.append({"raised": type(error).__name__, "reason": str(error)})
    return answers


if __name__ == "__main__":
    worries = Worries()
    answers = asyncio.run(main(json.loads(sys.argv[1])))
    print(json.dumps({"answers": answers, "worries": worries.lines}))
