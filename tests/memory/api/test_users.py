"""Users over the API."""

import pytest

from studio.models import Agent
from tests.calls import Api
from tests.memory.api.threads import every
from tests.world import NOW, run, write_thread


class TestUsers:
    def test_each_is_told_with_their_threads(self, api: Api, ada: Agent) -> None:
        write_thread(ada, "t-1", [run("r-1", at=NOW - 10), run("r-2", user_id="bob")], at=NOW - 10)
        users = {user["user_id"]: user for user in api.get("agents/agt-ada/users")["items"]}
        assert users["bob"] == {"user_id": "bob", "threads": 1, "runs": 1, "first_seen": NOW, "last_seen": NOW}
        assert users["alice@example.com"]["threads"] == 1

    def test_they_are_found_by_the_beginning_of_their_id(self, api: Api, ada: Agent) -> None:
        write_thread(ada, "t-1", user_id="Bob")
        write_thread(ada, "t-2", user_id="notbob")
        assert [user["user_id"] for user in api.get("agents/agt-ada/users?q=bo")["items"]] == ["Bob"]

    @pytest.mark.parametrize("sort", ["seen", "threads", "runs"])
    def test_every_user_is_on_one_page(self, api: Api, ada: Agent, sort: str) -> None:
        for number in range(5):
            write_thread(ada, f"t-{number}", user_id=f"u-{number}")
        found = [user["user_id"] for user in every(api, f"agents/agt-ada/users?limit=2&sort={sort}")]
        assert sorted(found) == [f"u-{number}" for number in range(5)]

    def test_an_unknown_parameter_is_named(self, api: Api, ada: Agent) -> None:
        assert api("GET", "agents/agt-ada/users?user_id=bob").said == (422, "user_id: there is no such parameter")
