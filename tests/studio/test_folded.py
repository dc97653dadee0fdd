"""Lists of names find what is written in another way, as the lists of an agent do."""

import pytest
from django.test import Client

from studio.models import Agent, User
from tests.memory.index.test_search import SAME
from tests.reading import text
from tests.world import HTMX


def found(page: Client, address: str, words: str) -> str:
    return text(page.get(address, {"q": words}, headers=HTMX))


@pytest.mark.parametrize("spelling", SAME)
def test_agents_and_people_are_found_in_any_spelling(page: Client, ada: Agent, spelling: str) -> None:
    for written in SAME[spelling]:
        Agent.objects.filter(pk=ada.pk).update(name=f"the {written} one")
        person = User.objects.create_user("sought@example.com", name=f"the {written} one")
        for asked in SAME[spelling]:
            agents = found(page, "/agents/", asked)
            assert "agt-ada" in agents
            assert "agt-bruno" not in agents
            assert "sought@example.com" in found(page, "/people/", asked)
        person.delete()


@pytest.mark.parametrize("words", ["\u0301", "\u00ad\ufeff"])
def test_words_of_which_nothing_is_left_find_nobody(page: Client, ada: Agent, words: str) -> None:
    assert "agt-ada" not in found(page, "/agents/", words)
    assert "@example.com" not in found(page, "/people/", words)
