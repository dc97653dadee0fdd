"""The fates for every depth at once are those of each depth asked for itself."""

from dataclasses import replace

import pytest

from memory.history.answer import Fate
from memory.history.by_depth import by_depth
from memory.history.cases import read_cases, read_thread, settings
from memory.history.question import Settings
from memory.history.thread import Thread
from tests.memory.history.test_golden_cases import file
from tests.memory.history.threads import calls, result, run, said, thread


def at(steps: list[tuple[int, Fate]], depth: int) -> Fate:
    return next((fate for since, fate in reversed(steps) if since <= depth), Fate.BEYOND)


def differences(one: Thread, asked: Settings, most: int) -> list[tuple[int, str, int]]:
    """Where the steps say something else than an answer: depth, run and place."""
    found = by_depth(one, asked, most)
    wrong = []
    for depth in range(1, most + 1):
        answer = one.answer(replace(asked, num_history_runs=depth))
        for key, steps in found.items():
            wrong += [
                (depth, key, n)
                for n, (fate, own) in enumerate(zip(answer.fates[key], steps, strict=True))
                if fate is not (at(own, depth) if own else fate)
                or (not own and fate not in (Fate.COPY, Fate.INSTRUCTIONS))
            ]
    return wrong


@pytest.mark.parametrize("name", ["history_cases_2_5", "history_cases_3_1"])
def test_each_depth_of_recorded_threads(name: str) -> None:
    checked = 0
    for case in list(read_cases(file(name)))[::4]:
        one = read_thread(case)
        asked = replace(settings(case["asks"][0]), num_history_messages=None)
        asked = replace(asked, session_storage=True, add_history_to_context=True)
        if one.unreadable or one.answer(asked).why:
            continue
        # a run that comes twice has the fates of its first place
        if len({run.key for run in one.runs}) == len(one.runs):
            assert differences(one, asked, 25) == [], case["id"]
            checked += 1
    assert checked > 100


def test_a_call_may_be_noted_by_an_older_result() -> None:
    one = thread(
        run("1", result("r", "x")), run("2", calls("c", "x", "y")), run("3", result("n", None), result("m", None))
    )
    asked = Settings(max_tool_calls_from_history=1)
    assert by_depth(one, asked)["c1"] == [[(2, Fate.RESULT_DROPPED), (3, Fate.CALLS_CUT)]]
    assert differences(one, asked, 5) == []


def test_one_system_message_moves_with_the_depth() -> None:
    one = thread(*(run(n, said("s", "system"), said("s2", "system"), said("u")) for n in "123"))
    asked = Settings(system_message_role="user")
    assert by_depth(one, asked)["c2"] == [[(1, Fate.SENT), (2, Fate.INSTRUCTIONS)], [], [(1, Fate.SENT)]]
    assert differences(one, asked, 5) == []


def test_only_the_newest_runs_have_steps() -> None:
    one = thread(*(run(str(n)) for n in range(60)))
    assert list(by_depth(one, Settings(), 2)) == ["c59", "c58"]
    assert len(by_depth(one, Settings())) == 50
