"""A search finds what is written in another way, in every list of an agent."""

import pytest

from memory.index.threads import Filter, list_threads, matching_ids
from memory.index.users import list_users
from studio.models import Agent
from tests.world import run, write_thread

SAME = {
    "one character or two": ("Caf\u00e9", "Cafe\u0301"),
    "with accents or without": ("Caf\u00e9", "CAFE"),
    "full width": ("\uff21\uff22\uff23", "abc"),
    "final sigma": ("ΟΔΟΣ", "οδος"),
    "sharp s": ("Straße", "STRASSE"),
    "a space that does not break": ("ten\u00a0euro", "ten  euro"),
    "an ideographic space": ("東京\u3000駅", "東京 駅"),
    "Korean by letters": ("\ud55c\uae00", "\u1112\u1161\u11ab\u1100\u1173\u11af"),
    "a ligature": ("o\ufb03ce", "office"),
    "a capital I of Turkish": ("ılık", "ILIK"),
    "a soft hyphen": ("Donau\u00addampf", "donaudampf"),
    "spaces without a width": ("to\u200bge\u2060ther\ufeff", "to\u200dgether"),
    "marks of direction": ("\u202b\u0634\u0644\u0648\u0645\u202c", "\u0634\u0644\u0648\u0645\u200f"),
    "spaces around it": ("in between", "  in   between "),
    "signs with a meaning": ("50% of a_b\\c", "50% OF A_B\\C"),
}


@pytest.mark.parametrize("spelling", SAME)
@pytest.mark.parametrize("where", ["name", "question", "answer", "id", "owner", "speaker"])
def test_threads_are_found_in_any_spelling(here: Agent, spelling: str, where: str) -> None:
    for n, text in enumerate(SAME[spelling]):
        data = {"session_name": f"about {text}!"} if where == "name" else {}
        one = run(f"r{n}", "a", "b", **({"user_id": f"x {text}"} if where == "speaker" else {}))
        one["input"]["input_content"] = f"is {text} here" if where == "question" else "a"
        one["content"] = f"so {text}." if where == "answer" else "b"
        user_id = f"x {text}" if where == "owner" else "ann"
        write_thread(here, f"{n} {text}" if where == "id" else f"t{n}", [one], user_id=user_id, session_data=data)
    write_thread(here, "other", user_id="bob")
    for text in SAME[spelling]:
        assert len(list_threads(Filter(q=text)).rows) == 2, text


@pytest.mark.parametrize("spelling", SAME)
def test_users_are_found_in_any_spelling(here: Agent, spelling: str) -> None:
    for n, text in enumerate(SAME[spelling]):
        write_thread(here, f"t{n}", user_id=f"{text} {n}")
    write_thread(here, "other", user_id="zoe")
    for text in SAME[spelling]:
        assert len(list_users(text).rows) == 2, text


def test_letters_that_differ_by_more_than_an_accent_stay_apart(here: Agent) -> None:
    write_thread(here, "ba", session_data={"session_name": "\u3070"})
    write_thread(here, "ha", session_data={"session_name": "\u306f"})
    assert [row["session_id"] for row in list_threads(Filter(q="\u306f")).rows] == ["ha"]


@pytest.mark.parametrize("words", ["\u0301", "\u200b", "\u00ad\ufeff", " \u3000 ", "\u00b4"])
def test_words_of_which_nothing_is_left_find_nothing(here: Agent, words: str) -> None:
    """They would find all threads else, and delete them."""
    write_thread(here, "a thread", user_id="ann lee")
    assert list_threads(Filter(q=words)).rows == []
    assert matching_ids(Filter(q=words), 10, True) == []
    assert list_users(words).rows == []
