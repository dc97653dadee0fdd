"""Which messages of the runs that count are within the depth, before a cap of tool calls. Pure."""

from collections.abc import Iterator

from memory.history.counted import Run
from memory.history.question import Generation, Settings

# a run, and the place of a message in it
Place = tuple[Run, int]


def window(runs: list[Run], settings: Settings, generation: Generation) -> list[Place]:
    """Return the messages of these runs that are within the depth."""
    depth, hidden = settings.depth, settings.hidden_role
    if depth is None:
        return _last_messages(runs, settings.num_history_messages or 0, hidden, generation)
    if depth <= 0 and generation is not Generation.V2_5:
        return []
    # agno 2.5 sends all for 0 and all but the first two for -2
    return list(_messages(runs[-depth:], hidden))


def _last_messages(runs: list[Run], most: int, hidden: str | None, generation: Generation) -> list[Place]:
    """Return the last messages of all runs, as Agno counts them: the first system message is one of them."""
    found = list(_messages(runs, hidden))
    system = [one for one in found if _role(one) == "system"]
    rest = [one for one in found if _role(one) != "system"]
    left = most - len(system)
    found = system + (rest[-left:] if left > 0 or generation is Generation.V2_5 else [])
    while found and _role(found[0]) == "tool":
        found.pop(0)
    return found


def _messages(runs: list[Run], hidden: str | None) -> Iterator[Place]:
    """Yield messages that are no copies and no instructions."""
    has_system = False
    for run in runs:
        for n, message in enumerate(run.messages):
            if n in run.copies or message["role"] == hidden:
                continue
            if message["role"] == "system":
                if has_system:
                    continue
                has_system = True
            yield run, n


def _role(place: Place) -> str:
    role: str = place[0].messages[place[1]]["role"]
    return role
