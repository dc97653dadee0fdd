"""The benchmark's threads: made up, always the same for a size, and in the format of COPY."""

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from random import Random
from typing import Any, Final, Literal

Layout = Literal["column", "table", "both"]

NOW: Final = 1_795_000_000  # the newest thread's last activity, in epoch seconds
YEAR: Final = 365 * 86_400
MEDIAN_RUNS: Final = 6
SPREAD: Final = 0.4  # of the logarithm
MEAN_RUNS: Final = MEDIAN_RUNS * math.exp(SPREAD**2 / 2)
GIANTS: Final = 5
MESSAGE_BYTES: Final = 1_300
TOOL_BYTES: Final = (2_000, 8_000)
CHUNK: Final = 500  # threads made with one seed

_STATUSES: Final = ["COMPLETED"] * 95 + ["ERROR"] * 3 + ["CANCELLED", "PAUSED"]
_SYLLABLES: Final = re.findall("..", "anbecodaelfigohainjokalimoneorpaquresotaunvewixayozu")
_TOOLS: Final = ("look_up_order", "search_articles", "read_page", "list_invoices")


@dataclass(frozen=True, slots=True)
class Thread:
    """A thread as both layouts store it. `runs` are JSON texts; `people` their users, `times` their seconds."""

    number: int
    session_id: str
    user_id: str
    created_at: int
    updated_at: int
    session_data: str
    runs: list[str]
    people: list[str]
    times: list[int]
    statuses: list[str]

    def run_id(self, index: int) -> str:
        return f"{self.session_id}-{index:05}"


@dataclass(frozen=True)
class Shape:
    """How many threads, and what follows from that number; a small one has smaller giants.

    Texts are of their usual length times `length`: lists do not read them, and a disk may be small.
    """

    threads: int
    length: float = 1.0

    @property
    def users(self) -> int:
        return max(self.threads * 19 // 100, 2)

    @property
    def heavy(self) -> int:
        """Threads of the one user who has most."""
        return max(self.threads // 250, 20)

    @property
    def giant_runs(self) -> int:
        return min(5_000, max(self.threads // 20, 30))

    @cached_property
    def giants(self) -> list[int]:
        """Numbers of the long threads: the first is on the list's second page, none is among the oldest half."""
        return [70, *(70 + self.threads * part // 10 for part in range(1, GIANTS))]

    @cached_property
    def texts(self) -> "Texts":
        return _texts(self.length)

    @property
    def heavy_user(self) -> str:
        return "heavy@example.com"

    def session_id(self, number: int) -> str:
        """The id of the thread with this number; 0 is the newest. Ids are in no order, as uuids are."""
        mixed = (number + 1) * 0x9E3779B97F4A7C15 % 2**64
        return f"{mixed:016x}-{number:07}"

    def threads_made(self, first: int = 0, last: int | None = None) -> Iterator[Thread]:
        """Make the threads `first` to `last` (exclusive), newest first."""
        last = self.threads if last is None else last
        for start in range(first // CHUNK * CHUNK, last, CHUNK):
            random = Random(start)
            for number in range(start, min(start + CHUNK, self.threads)):
                thread = self._thread(number, random)
                if first <= number < last:
                    yield thread

    def _thread(self, number: int, random: Random) -> Thread:
        count = max(1, round(MEDIAN_RUNS * math.exp(random.gauss(0, SPREAD))))
        if number in self.giants:
            count = self.giant_runs
        heavy = number % max(self.threads // self.heavy, 1) == 7
        owner = self.heavy_user if heavy else f"user{int(self.users * random.random() ** 1.5):06}@example.com"
        created_at = NOW - int(number * YEAR / self.threads) - 600
        updated_at = created_at + random.randrange(600)
        session_id = self.session_id(number)
        pace = max((updated_at - created_at) // count, 0)
        people, times, statuses, runs, tokens = [], [], [], [], 0
        for index in range(count):
            # one thread in fifty is shared
            user = "guest@example.com" if number % 50 == 3 and index % 2 else owner
            status = random.choice(_STATUSES)
            at = created_at + index * pace
            text, used = _run(self.texts, f"{session_id}-{index:05}", session_id, user, status, at, random)
            people.append(user)
            times.append(at)
            statuses.append(status)
            runs.append(text)
            tokens += used
        metrics: dict[str, Any] = {
            "session_metrics": {
                "input_tokens": tokens,
                "output_tokens": tokens // 3,
                "total_tokens": tokens + tokens // 3,
            }
        }
        if number % 10 == 0:
            metrics["session_name"] = self.texts.line(random)
        data = json.dumps(metrics)
        return Thread(number, session_id, owner, created_at, updated_at, data, runs, people, times, statuses)


class Texts:
    """Pools of texts, so that making a message costs a choice; kept as JSON strings."""

    def __init__(self, length: float) -> None:
        random, self._length = Random(1), length
        words = ["".join(random.choices(_SYLLABLES, k=random.randint(1, 4))) for _ in range(4_000)]
        weights = [1 / (rank + 3) for rank in range(len(words))]
        self._words = random.choices(words, weights, k=200_000)
        self.questions = [self._text(random, random.lognormvariate(math.log(450), 0.5)) for _ in range(1_000)]
        self.answers = [self._text(random, random.lognormvariate(math.log(1_500), 0.4)) for _ in range(2_000)]
        self.results = [self._text(random, random.uniform(*TOOL_BYTES)) for _ in range(500)]

    def line(self, random: Random) -> str:
        """A few words, as they are."""
        at = random.randrange(len(self._words) - 10)
        return " ".join(self._words[at : at + 5]).capitalize()

    def _text(self, random: Random, size: float) -> str:
        at = random.randrange(len(self._words) - 2_500)
        text = " ".join(self._words[at : at + 2_500])[: max(int(size * self._length), 20)]
        return json.dumps(text.capitalize() + ".")


@lru_cache
def _texts(length: float) -> Texts:
    return Texts(length)


_RUN: Final = (
    '{{"run_id":"{id}","agent_id":"bench","agent_name":"Bench","session_id":"{session}","user_id":"{user}",'
    '"status":"{status}","created_at":{at},"model":"gpt-4o-mini","model_provider":"OpenAI","content":{answer},'
    '"content_type":"str","input":{{"input_content":{question}}},"metrics":{{"input_tokens":{tokens},'
    '"output_tokens":{output},"total_tokens":{total},"duration":1.75,"time_to_first_token":0.41}},'
    '"tools":[{tools}],"events":[],"messages":[{{"id":"{id}-u","role":"user","content":{question},'
    '"from_history":false,"created_at":{at}}},{calls}{{"id":"{id}-a","role":"assistant","content":{answer},'
    '"from_history":false,"created_at":{at},"metrics":{{"input_tokens":{tokens},"output_tokens":{output}}}}}]}}'
)
_CALLS: Final = (
    '{{"id":"{id}-c","role":"assistant","content":null,"from_history":false,"created_at":{at},"tool_calls":[{{"id":'
    '"call_{id}","type":"function","function":{{"name":"{name}","arguments":"{{\\"number\\": {number}}}"}}}}]}},'
    '{{"id":"{id}-t","role":"tool","content":{result},"tool_call_id":"call_{id}","tool_name":"{name}",'
    '"tool_call_error":false,"from_history":false,"created_at":{at}}},'
)
_TOOL: Final = (
    '{{"tool_call_id":"call_{id}","tool_name":"{name}","tool_args":{{"number":{number}}},"tool_call_error":false,'
    '"result":{result},"metrics":{{"duration":0.21}},"created_at":{at}}}'
)


def _run(
    texts: Texts, run_id: str, session_id: str, user: str, status: str, at: int, random: Random
) -> tuple[str, int]:
    """Write one run as JSON; also returns its input tokens."""
    question, answer, tokens = random.choice(texts.questions), random.choice(texts.answers), random.randrange(50, 900)
    calls = tools = ""
    if random.random() < 0.2:
        values = {
            "id": run_id,
            "at": at,
            "name": random.choice(_TOOLS),
            "number": random.randrange(10_000),
            "result": random.choice(texts.results),
        }
        calls, tools = _CALLS.format(**values), _TOOL.format(**values)
    text = _RUN.format(
        id=run_id,
        session=session_id,
        user=user,
        status=status,
        at=at,
        question=question,
        answer=answer,
        tokens=tokens,
        output=tokens // 3,
        total=tokens + tokens // 3,
        tools=tools,
        calls=calls,
    )
    return text, tokens
