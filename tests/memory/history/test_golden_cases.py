"""The function against recorded turns of the real Agno: 11,600 asks of threads of every shape."""

from collections import Counter
from pathlib import Path

import pytest

from memory.history.answer import IS_SENT
from memory.history.cases import check, read_cases, read_thread, settings

DATA = Path(__file__).parent / "data"
ASKS = {
    "history_cases_2_5": 4349,
    "history_cases_3_1": 4333,
    "odd_values_2_5": 1479,
    "odd_values_3_1": 1439,
}


def file(name: str) -> Path:
    return DATA / f"{name}.jsonl.gz"


@pytest.mark.parametrize("name", ASKS)
def test_every_answer_is_the_recorded_one(name: str) -> None:
    cases = list(read_cases(file(name)))
    assert sum(len(case["asks"]) for case in cases) == ASKS[name]
    assert [difference for case in cases for difference in check(case)] == []


@pytest.mark.parametrize("name", ASKS)
def test_a_wrong_answer_is_found(name: str) -> None:
    case = next(case for case in read_cases(file(name)) if case["asks"][0]["sent"])
    case["asks"][0]["sent"].pop()
    assert [(one.case, one.ask, one.key) for one in check(case)] == [(case["id"], 0, "sent")]


@pytest.mark.parametrize("name", ASKS)
def test_every_stored_message_has_one_fate(name: str) -> None:
    for case in read_cases(file(name)):
        thread = read_thread(case)
        for ask in case["asks"]:
            answer = thread.answer(settings(ask), ask["speaker"])
            lengths = {run.key: len(run.messages) for run in [*thread.left_out, *reversed(thread.runs)]}
            assert {key: len(fates) for key, fates in answer.fates.items()} == lengths
            sent = [
                f"{key}.{n}" for key, fates in answer.fates.items() for n, one in enumerate(fates) if one in IS_SENT
            ]
            assert Counter(sent) == Counter(message.key for message in answer.messages)
