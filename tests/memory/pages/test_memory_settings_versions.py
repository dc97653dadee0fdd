"""The Memory tab: versions, and going back to one."""

import pytest
from django.test import Client

from studio import token
from studio.models import Agent
from tests.markup import Page
from tests.memory.pages.memory_tab import ADA, PART, RESTORE, by_dana, form, saved
from tests.reading import links, text


class TestVersions:
    def test_they_say_who_changed_what(self, page: Client, ada: Agent) -> None:
        by_dana(ada, num_history_runs=20, max_tool_calls_from_history=5)
        by_dana(ada, session_storage=False)
        said = text(page.get(ADA))
        assert "v3 · Dana Levi · just now Session storage on → to off In use" in said
        assert "Max tool calls from history no cap → to 5" in said
        assert "num_history_runs" not in said.partition("Versions")[2]
        assert "v1 · Agent Studio" in said

    def test_any_of_them_can_be_restored(self, page: Client, ada: Agent) -> None:
        by_dana(ada, num_history_runs=20)
        by_dana(ada, num_history_runs=30)
        forms = [one for one in Page(page.get(ADA).content.decode()).forms if one.action == RESTORE]
        assert [one.fields["version"] for one in forms] == [["2"], ["1"]]
        response = page.post(RESTORE, forms[0].fields)
        assert (response.status_code, response.headers["Location"]) == (303, ADA)
        assert (saved(ada).num_history_runs, saved(ada).version) == (20, 4)
        said = text(page.get(ADA))
        assert "Saved as version 4, restored from version 2. Agents get it when they are next loaded." in said
        assert "v4 · Admin · just now Restored from v2 No. of history runs 30 → to 20 In use" in said
        event = text(page.get("/agents/agt-ada/activity/"))
        assert "restored memory settings (from v2): v4 No. of history runs 30 → to 20" in event

    def test_what_restoring_one_changes_is_shown_before(self, page: Client, ada: Agent) -> None:
        by_dana(ada, num_history_runs=20, session_summaries=True)
        by_dana(ada, max_tool_calls_from_history=5)
        assert (
            "Restoring v1 changes: No. of history runs 20 → to 10 Max tool calls from history 5 → to no cap"
            " Session summaries on → to off Restore v1"
        ) in text(page.get(ADA))

    def test_restoring_is_reported_as_saving_is(self, page: Client, ada: Agent) -> None:
        by_dana(ada, num_history_runs=20)
        answer = page.post(RESTORE, {"version": "1", "base": "2"}, headers=PART)
        assert answer.content.strip().startswith(b'<div class="columns" id="memory"')
        assert "Saved as version 3, restored from version 1." in answer.headers["HX-Trigger"]

    def test_one_with_the_values_of_now_is_not_offered(self, page: Client, ada: Agent) -> None:
        by_dana(ada, num_history_runs=20)
        by_dana(ada, num_history_runs=10)
        response = page.get(ADA)
        assert "Same values as now" in text(response)
        forms = [one for one in Page(response.content.decode()).forms if one.action == RESTORE]
        assert [one.fields["version"] for one in forms] == [["2"]]

    def test_restoring_what_is_saved_already_says_so(self, page: Client, ada: Agent) -> None:
        page.post(RESTORE, {"version": "1", "base": "1"})
        assert "Nothing to save: version 1 is what is saved." in text(page.get(ADA))

    def test_restoring_after_somebody_saved_shows_both(self, page: Client, ada: Agent) -> None:
        by_dana(ada, num_history_runs=20)
        by_dana(ada, session_summaries=True)
        response = page.post(RESTORE, {"version": "1", "base": "2"})
        assert response.status_code == 409
        assert "Version 1 is not restored yet" in text(response)
        assert "Dana Levi saved version 3 just now, after you opened the page." in text(response)
        fields = form(response).fields
        assert (fields["num_history_runs"], fields["session_summaries"][-1]) == (["10"], "off")
        assert saved(ada).version == 3

    @pytest.mark.parametrize("version", ["", "0", "7", "x", "-1", "9" * 40, "1\x00"])
    def test_a_version_that_never_was_is_not_found(self, page: Client, ada: Agent, version: str) -> None:
        assert page.post(RESTORE, {"version": version, "base": "1"}).status_code == 404

    def test_another_agents_version_is_not_found(self, page: Client, ada: Agent, bruno: Agent) -> None:
        by_dana(bruno, num_history_runs=20)
        assert page.post(RESTORE, {"version": "2", "base": "1"}).status_code == 404

    def test_older_ones_are_a_page_away(self, page: Client, ada: Agent) -> None:
        for number in range(25):
            by_dana(ada, num_history_runs=100 + number)
        first = page.get(ADA)
        assert "v26 ·" in text(first)
        assert "v17 ·" in text(first)
        assert "v16 ·" not in text(first)
        assert f"{ADA}?cursor={token.pack('versions', 17)}#versions" in links(first)
        last = page.get(ADA, {"cursor": token.pack("versions", 7)})
        assert "v6 ·" in text(last)
        assert "v1 ·" in text(last)
        assert "Older versions" not in text(last)

    @pytest.mark.parametrize("before", ["x", "", "-1", "9" * 40, "٣", "1\x00"])
    def test_a_bad_page_is_the_first_one(self, page: Client, ada: Agent, before: str) -> None:
        assert "v1 ·" in text(page.get(ADA, {"cursor": before}))

    def test_before_the_first_there_is_none(self, page: Client, ada: Agent) -> None:
        assert "No version before v1." in text(page.get(ADA, {"cursor": token.pack("versions", 1)}))
