"""The four demo agents: what they are, how they are set, and which bot answers in their threads."""

from dataclasses import dataclass, field
from typing import Any, Final

from memory.demo.shapes import Bot


@dataclass(frozen=True, slots=True)
class DemoAgent:
    """An agent with its history of settings: (who, days ago, values)."""

    id: str
    fields: dict[str, str]
    days_old: int
    saves: tuple[tuple[str, float, dict[str, Any]], ...] = field(default=())


_SUPPORT_TEXT: Final = """You are the support assistant of Fjordly, a shop for furniture, kitchen and smart home.
Answer in the customer's language. Be brief, kind and exact. Look things up before you promise a date or an amount.
Refunds above 100 and cancellations need a person's confirmation. Never ask for a card number or a password."""
_RESEARCH_TEXT: Final = """You are a research analyst. Give numbers with their source and their weakness.
Say what you do not know. Prefer a table to a paragraph and two pages to ten. Answer in the language of the question."""
_WEBHOOK_TEXT: Final = """Enrich the company in the incoming webhook: industry, size, place, one line on what it does.
Answer with JSON only. Leave out what you cannot confirm."""

AGENTS: Final = (
    DemoAgent(
        id="agt-supp2ortbot3",
        fields={
            "name": "Support Bot",
            "icon": "🛟",
            "description": "Answers customers of the shop in chat, in sixteen languages.",
            "framework": "agno",
            "model_provider": "openai",
            "model_name": "gpt-4o-mini",
            "instructions": _SUPPORT_TEXT,
        },
        days_old=63,
        saves=(
            ("Mira Holt (demo)", 58.2, {"num_history_runs": 20}),
            ("Tomás Reyes (demo)", 31.6, {"num_history_runs": 10, "max_tool_calls_from_history": 12}),
            ("Mira Holt (demo)", 9.4, {"session_summaries": True}),
        ),
    ),
    DemoAgent(
        id="agt-resea2rchnl5",
        fields={
            "name": "Research Analyst",
            "icon": "🔬",
            "description": "Reads, computes and writes short notes with sources.",
            "framework": "agno",
            "model_provider": "anthropic",
            "model_name": "claude-sonnet-4-5",
            "instructions": _RESEARCH_TEXT,
        },
        days_old=61,
        saves=(
            ("Henrik Dahl (demo)", 44.0, {"num_history_runs": 5}),
            ("Henrik Dahl (demo)", 17.3, {"num_history_runs": 3, "max_tool_calls_from_history": 6}),
        ),
    ),
    DemoAgent(
        id="agt-webhk2enrch3",
        fields={
            "name": "Webhook Enricher",
            "icon": "🪝",
            "description": "Fills in company data for each incoming webhook. Every call stands alone.",
            "framework": "agno",
            "model_provider": "openai",
            "model_name": "gpt-4.1-mini",
            "instructions": _WEBHOOK_TEXT,
        },
        days_old=55,
        saves=(
            ("Ravi Menon (demo)", 40.1, {"num_history_runs": 1}),
            ("Mira Holt (demo)", 21.8, {"session_storage": False}),
        ),
    ),
    DemoAgent(
        id="agt-salesassis27",
        fields={
            "name": "Sales Assistant",
            "icon": "💼",
            "description": "Prepares quotes and follow-ups from the CRM.",
            "framework": "langchain",
            "model_provider": "openai",
            "model_name": "gpt-4o",
            "instructions": "Help the sales team to prepare quotes. Never send anything yourself.",
        },
        days_old=38,
    ),
)

SUPPORT, RESEARCH, WEBHOOK, SALES = AGENTS


def _bot(agent: DemoAgent, kind: tuple[str, str, str], layout: Any, *, reasons: bool = False) -> Bot:
    model_class, provider, label = kind
    fields = agent.fields
    return Bot(
        agent.id,
        fields["name"],
        fields["model_name"],
        model_class,
        provider,
        label,
        fields["instructions"],
        layout,
        reasons,
    )


SUPPORT_BOT: Final = _bot(SUPPORT, ("OpenAIChat", "OpenAI", "OpenAI Chat"), "table")
RESEARCH_BOT: Final = _bot(RESEARCH, ("Claude", "Anthropic", "Anthropic"), "column", reasons=True)
WEBHOOK_BOT: Final = _bot(WEBHOOK, ("OpenAIChat", "OpenAI", "OpenAI Chat"), "column")
