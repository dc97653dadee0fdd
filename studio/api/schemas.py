"""Schemas of requests and answers about agents, from which ninja makes the OpenAPI description."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

from django.db.models import TextChoices
from ninja import Schema
from pydantic import AfterValidator, ConfigDict, Field, WithJsonSchema, create_model

from studio.agents.icon import is_icon
from studio.agents.memory_settings import SETTINGS
from studio.ids import AGENT_ID
from studio.models import Agent, Framework


def _storable(text: str) -> str:
    """Refuse text that Postgres cannot store."""
    # pydantic refuses lone surrogates itself
    if "\x00" in text:
        raise ValueError("holds a NUL character")
    return text


def _short(icon: str) -> str:
    if not is_icon(icon):
        raise ValueError("must be one emoji or at most two letters")
    return icon


def _one_of(choices: type[TextChoices]) -> WithJsonSchema:
    """Describe a field by its values, where it stands."""
    return WithJsonSchema({"type": "string", "enum": choices.values})


Text = Annotated[str, AfterValidator(_storable)]

AgentId = Annotated[str, Field(pattern=f"^{AGENT_ID.pattern}$", examples=["agt-7k2mq9xw4d3p"])]


class Problem(Schema):
    error: str = Field(examples=["not_found"])
    detail: str


class Instructions(Schema):
    role: list[str]
    goal: list[str]
    general: str


class AgentItem(Schema):
    id: str
    name: str
    icon: str
    description: str
    framework: str
    instructions: Instructions
    status: str
    organization_id: str
    created_at: datetime


class NotKept(Schema):
    """Settings that xpander-sdk also reads and the studio does not store."""

    user_memories: bool = False
    agentic_memory: bool = False
    agent_memories: bool = False
    agentic_culture: bool = False
    tool_call_limit: int | None = None


def setting_fields() -> dict[str, Any]:
    """Return the memory settings as fields of a schema."""
    return {
        setting.name: (bool if setting.is_switch else int, Field(description=setting.about or None))
        for setting in SETTINGS
    }


if TYPE_CHECKING:
    AgnoSettings = NotKept
else:
    AgnoSettings = create_model(
        "AgnoSettings",
        __base__=NotKept,
        __doc__="The saved memory settings; those that the studio does not store are false or null.",
        **setting_fields(),
    )


class AgentDetail(AgentItem):
    unique_name: str
    environment_id: str
    model_provider: str
    model_name: str
    version: int = Field(description="of the memory settings")
    graph: list[Any]
    tools: list[Any]
    agno_settings: AgnoSettings


class CreatedAgent(AgentDetail):
    warnings: list[str] = Field(
        [],
        description="what to see to, in sentences; left out if there is nothing. The agent was made all the same.",
        exclude_if=lambda warnings: not warnings,
    )


class ConnectionUri(Schema):
    uri: str = Field(examples=["postgresql://ag_agt_7k2mq9xw4d3p:…@127.0.0.1:5432/studio"])


class Connection(Schema):
    id: str
    name: str
    organization_id: str
    connection_uri: ConnectionUri


class NewAgent(Schema):
    # a field with a misspelt name must not be dropped silently
    model_config = ConfigDict(extra="forbid")

    id: AgentId | None = Field(None, description="made by the studio when left out")
    name: Annotated[Text, Field(min_length=1, max_length=120, pattern=r"\S")]
    icon: Annotated[Text, Field(max_length=16), AfterValidator(_short)] = ""
    description: Annotated[Text, Field(max_length=500)] = ""
    framework: Annotated[Framework, _one_of(Framework)] = Framework.AGNO
    model_provider: Annotated[Text, Field(max_length=60)] = ""
    model_name: Annotated[Text, Field(max_length=120)] = ""
    instructions: Annotated[Text, Field(max_length=20_000)] = ""
    status: Annotated[Agent.Status, _one_of(Agent.Status)] = Agent.Status.ACTIVE


COMMON: Final = (400, 401, 403, 404, 422, 429, 503)


def answers(success: int, schema: Any, *problems: int, scope: str) -> dict[str, Any]:
    """Declare an operation's answers (its success, the common problems and its own) and the scope it takes."""
    return {
        "response": {success: schema, frozenset(COMMON + problems): Problem},
        "openapi_extra": {"x-scope": scope},
    }
