"""Build one run from one turn, in the shape of either Agno generation."""

import json
from random import Random

from memory.demo.shapes import Bot, Call, Json, Turn, Usage, execution, message, new_id, tokens, tool_message
from memory.demo.tools.common import when

# the sentence that Agno stores when a tool waits for a person
PAUSED = "I have tools to execute, but I need confirmation."


class RunBuilder:
    """Plays one turn: messages in order, a clock that moves on, tokens that add up."""

    def __init__(self, bot: Bot, rng: Random, session_id: str, turn: Turn, context: int) -> None:
        self.bot, self.rng, self.session_id, self.turn = bot, rng, session_id, turn
        self.context = context + tokens(bot.instructions)
        self.run_id = new_id(rng)
        self.clock = turn.at
        self.usage = Usage()
        self.first_token = 0.0
        self.messages: list[Json] = []
        self.tools: list[Json] = []
        self.provider_data: Json = {}

    def play(self) -> Json:
        """Return the run; `clock` then says when it ended."""
        turn = self.turn
        self._say("system", self.bot.instructions)
        self._say("user", turn.parts or turn.text, **turn.media)
        if turn.status in ("ERROR", "CANCELLED") and not turn.calls:
            self.clock += self.rng.uniform(0.4, 9)
            return self._failed()
        for batch in _batches(turn.calls):
            self._call(batch)
        if turn.status == "PAUSED" and turn.hold:
            self._ask([turn.hold])
            self.tools.append(execution(self.bot, turn.hold, self.clock, waits=True))
            return self._finished(PAUSED)
        if turn.status != "COMPLETED":
            return self._failed()
        self._answer(turn.reply)
        return self._finished(turn.reply)

    def _say(self, role: str, content: object, **more: object) -> None:
        self.messages.append(message(self.rng, role, self.clock, content=content, **more))
        self.context += tokens(content if isinstance(content, str) else json.dumps(content)[:4000])

    def _think(self, text: str, *, final: bool = False) -> Json:
        """Let the model answer: spend time and tokens, and return the message's metrics."""
        output = tokens(text)
        used = Usage(self.context, output, self.context * self.rng.randint(3, 8) // 10 // 64 * 64)
        if self.bot.reasons:
            used.reasoning = output // self.rng.randint(2, 5)
        seconds = 0.5 + output / self.rng.uniform(60, 110)
        first = self.rng.uniform(0.25, 0.9)
        self.first_token = self.first_token or first
        self.clock += seconds
        self.context += output
        self.usage.add(used)
        timing: Json = {"duration": round(seconds, 6)}
        if final:
            timing["time_to_first_token"] = round(first, 6)
        self.provider_data = {"id": f"chatcmpl-{self.rng.getrandbits(96):024x}"}
        return {**used.to_json(), **timing}

    def _ask(self, calls: list[Call]) -> None:
        wanted = []
        for call in calls:
            call.id = f"call_{self.rng.getrandbits(96):024x}"
            arguments = json.dumps(call.args)
            wanted.append({"id": call.id, "type": "function", "function": {"name": call.tool, "arguments": arguments}})
        metrics = self._think(json.dumps(wanted))
        self.messages.append(
            message(
                self.rng, "assistant", self.clock, metrics=metrics, tool_calls=wanted, provider_data=self.provider_data
            )
        )

    def _call(self, calls: list[Call]) -> None:
        self._ask(calls)
        for call in calls:
            call.seconds = call.seconds or round(self.rng.uniform(0.08, 2.4), 6)
            self.tools.append(execution(self.bot, call, self.clock))
            self.clock += call.seconds
            self.messages.append(tool_message(self.rng, call, self.clock))
            self.context += tokens(call.result)

    def _answer(self, text: str) -> None:
        metrics = self._think(text, final=True)
        self.messages.append(
            message(self.rng, "assistant", self.clock, content=text, metrics=metrics, provider_data=self.provider_data)
        )

    def _base(self, status: str, content: str) -> Json:
        turn = self.turn
        sent: object = turn.parts or turn.text
        run: Json = {
            "input": {"input_content": sent, **turn.media},
            "model": self.bot.model,
            "events": [],
            "run_id": self.run_id,
            "status": status,
            "content": content,
            "metrics": {"duration": round(self.clock - turn.at, 6)},
            "agent_id": self.bot.agent_id,
            "agent_name": self.bot.name,
            "created_at": int(turn.at),
            "session_id": self.session_id,
            "content_type": "str",
            "session_state": {},
            "model_provider": self.bot.provider,
        }
        if turn.user_id is not None:
            run["user_id"] = turn.user_id
            run["metadata"] = {"sender": turn.user_id}
        return run

    def _finished(self, content: str) -> Json:
        run = self._base(self.turn.status, content)
        run["metrics"].update(self.usage.with_details(self.bot), time_to_first_token=round(self.first_token, 6))
        run.update(messages=self.messages, model_provider_data=self.provider_data)
        if self.tools:
            run["tools"] = self.tools
        if self.turn.status == "PAUSED":
            run["requirements"] = [
                {"id": new_id(self.rng), "created_at": when(self.clock), "tool_execution": self.tools[-1]}
            ]
        return run

    def _failed(self) -> Json:
        """A run that broke off. Agno 2.5 stores it without its messages, 3.1 with them."""
        cancelled = self.turn.status == "CANCELLED"
        text = f"Run {self.run_id} was cancelled" if cancelled else self.turn.error
        run = self._base(self.turn.status, text)
        if self.usage.input or self.bot.layout == "table":
            run["metrics"].update(self.usage.with_details(self.bot))
        if not cancelled:
            event = {
                "event": "RunError",
                "run_id": self.run_id,
                "content": text,
                "agent_id": self.bot.agent_id,
                "agent_name": self.bot.name,
                "created_at": int(self.clock),
                "session_id": self.session_id,
            }
            run["events"] = [event]
        if self.bot.layout == "table":
            run["messages"] = self.messages
            if self.tools:
                run["tools"] = self.tools
            if cancelled:
                run["cancellation_stage"] = "EXECUTING"
            else:
                event.update(nested_depth=0, error_type="model_provider_error")
        return run


def _batches(calls: list[Call]) -> list[list[Call]]:
    """Models ask for two tools at once now and then, never for more here."""
    return [calls[start : start + 2] for start in range(0, len(calls), 2)]
