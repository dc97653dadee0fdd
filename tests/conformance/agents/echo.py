"""A model without a network: it answers with what it was told, and calls the tool that it is asked to."""

import json
import re
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from agno.metrics import MessageMetrics
from agno.models.base import Model
from agno.models.message import Message
from agno.models.response import ModelResponse

# "/tool {"argument": 1}" anywhere in what the user says is a call of it.
CALL = re.compile(r"/(\w+) (\{.*?\})")


@dataclass
class Echo(Model):
    """Echo the newest user message; `sent` keeps what each request to the model held."""

    id: str = "echo-1"
    name: str = "Echo"
    provider: str = "Offline"
    sent: list[list[dict[str, Any]]] = field(default_factory=list)

    def invoke(self, messages: list[Message], **more: Any) -> ModelResponse:
        self.sent.append([plain(message) for message in messages])
        answer = ModelResponse(role="assistant")
        text = next(str(message.content) for message in reversed(messages) if message.role == "user")
        if more.get("response_format") is not None:
            answer.content = json.dumps({"summary": f"They said: {len(messages)} messages.", "topics": ["echo"]})
        elif messages[-1].role == "user" and (calls := CALL.findall(text)):
            answer.tool_calls = [
                {
                    "id": f"call_{uuid4().hex[:12]}",
                    "type": "function",
                    "function": {"name": name, "arguments": arguments},
                }
                for name, arguments in calls
            ]
        else:
            answer.content = f"You said: {text}"
        words = sum(len(str(message.content or "").split()) for message in messages)
        answer.response_usage = MessageMetrics(input_tokens=words, output_tokens=7, total_tokens=words + 7)
        return answer

    async def ainvoke(self, messages: list[Message], **more: Any) -> ModelResponse:
        return self.invoke(messages, **more)

    def invoke_stream(self, messages: list[Message], **more: Any) -> Any:
        yield self.invoke(messages, **more)

    async def ainvoke_stream(self, messages: list[Message], **more: Any) -> Any:
        yield self.invoke(messages, **more)

    def _parse_provider_response(self, response: Any, **more: Any) -> ModelResponse:
        return response

    def _parse_provider_response_delta(self, response: Any) -> ModelResponse:
        return response


def look_up(number: str) -> str:
    """Look an order up."""
    return json.dumps({"order": number, "status": "packed", "note": f"<b>fragile</b> & heavy: {number}"})


def plain(message: Message) -> dict[str, Any]:
    """What matters of a message, as JSON."""
    return {
        "role": message.role,
        "content": message.content,
        "calls": [call["id"] for call in message.tool_calls or []],
        "result_of": message.tool_call_id,
        "from_history": bool(message.from_history),
    }
