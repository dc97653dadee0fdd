"""The Memory tab: saving, what it refuses, and two people saving at once."""

import re

import pytest
from django.test import Client

from studio.agents import memory_settings
from studio.models import Agent, AuditEvent
from tests.memory.pages.memory_tab import ADA, PART, RESTORE, by_dana, filled, form, langchain, saved
from tests.reading import text


class TestSaving:
    def test_it_saves_and_says_so(self, page: Client, ada: Agent) -> None:
        response = page.post(ADA, filled(page, num_history_runs="5"))
        assert (response.status_code, response.headers["Location"]) == (303, ADA)
        assert saved(ada).num_history_runs == 5
        said = text(page.get(ADA))
        assert "Saved as version 2. Agents get it when they are next loaded." in said
        assert "No. of history runs 10 → to 5" in said

    @pytest.mark.parametrize("name", ["session_storage", "session_summaries"])
    def test_a_switch_posts_the_wanted_value_and_never_flips(self, page: Client, ada: Agent, name: str) -> None:
        for wanted, value in (("off", False), ("off", False), ("on", True), ("on", True)):
            data = filled(page, session_storage="on") if name == "session_summaries" else filled(page)
            assert page.post(ADA, {**data, name: [wanted]}).status_code == 303
            assert getattr(saved(ada), name) is value

    @pytest.mark.parametrize(
        "name", ["session_storage", "num_history_runs", "max_tool_calls_from_history", "session_summaries"]
    )
    def test_a_field_that_is_absent_stays_as_it_was(self, page: Client, ada: Agent, name: str) -> None:
        by_dana(ada, num_history_runs=7, max_tool_calls_from_history=9, session_summaries=True)
        before = memory_settings.values_of(saved(ada))
        data = filled(page)
        del data[name]
        page.post(ADA, data)
        assert memory_settings.values_of(saved(ada)) == before

    def test_dependants_keep_their_values_while_storage_is_switched_off_and_on(self, page: Client, ada: Agent) -> None:
        by_dana(ada, num_history_runs=7, max_tool_calls_from_history=9, session_summaries=True)
        before = memory_settings.values_of(saved(ada))
        # a browser's scripts disable the dependants, which then are not posted
        off = {name: value for name, value in filled(page).items() if name in ("csrfmiddlewaretoken", "version")}
        page.post(ADA, {**off, "session_storage": ["off"]})
        assert memory_settings.values_of(saved(ada)) == {**before, "session_storage": False}
        again = filled(page)
        assert "num_history_runs" not in again
        page.post(ADA, {**again, "session_storage": ["off", "on"]})
        assert memory_settings.values_of(saved(ada)) == before

    def test_saving_what_is_saved_says_that_nothing_changed(self, page: Client, ada: Agent) -> None:
        page.post(ADA, filled(page))
        assert saved(ada).version == 1
        assert "Nothing to save: nothing was changed." in text(page.get(ADA))

    @pytest.mark.parametrize("typed", ["7", " 7 ", "007"])
    def test_blanks_and_leading_zeros_do_no_harm(self, page: Client, ada: Agent, typed: str) -> None:
        page.post(ADA, filled(page, num_history_runs=typed))
        assert saved(ada).num_history_runs == 7

    def test_the_audit_event_has_the_person(self, page: Client, ada: Agent) -> None:
        page.post(ADA, filled(page, num_history_runs="5"))
        event = AuditEvent.objects.filter(agent_id=ada.pk).latest("id")
        assert (event.action, event.actor) == ("settings.save", "Admin")

    def test_htmx_gets_the_fragment_with_the_new_version(self, page: Client, ada: Agent) -> None:
        response = page.post(ADA, filled(page, num_history_runs="5"), headers=PART)
        assert response.status_code == 200
        assert b"<!DOCTYPE html>" not in response.content
        assert "v2 · Admin" in text(response)
        assert form(response).fields["version"] == ["2"]
        assert '"notice": {"text": "Saved as version 2.' in response.headers["HX-Trigger"]
        assert "agent-changed" in response.headers["HX-Trigger"]


BAD = [
    "",
    " ",
    "ten",
    "1e9",
    "-1",
    "10.5",
    "10,5",
    "+5",
    "0x10",
    "١٠",
    "１０",
    "1\x002",
    "1_0",
    "9" * 5000,
    "<b>",
    "1001",
]


class TestRefusing:
    @pytest.mark.parametrize("typed", BAD)
    def test_bad_numbers_are_named_beside_the_field_and_stay_in_it(self, page: Client, ada: Agent, typed: str) -> None:
        response = page.post(ADA, filled(page, num_history_runs=typed, session_summaries="on"))
        assert response.status_code == 422
        assert "Enter a whole number from 1 to 1000, in digits only." in text(response)
        html = response.content.decode()
        described = "num_history_runs-error num_history_runs-help num_history_runs-more"
        assert re.search(rf'aria-describedby="{described}"\s+aria-invalid="true"', html)
        shown = form(response).fields
        assert shown["num_history_runs"] == [typed.replace("\0", "\ufffd")[:200]]
        assert shown["session_summaries"][-1] == "on"
        assert shown["version"] == ["1"]
        assert saved(ada).version == 1

    def test_zero_runs_are_answered_with_what_to_do_instead(self, page: Client, ada: Agent) -> None:
        response = page.post(ADA, filled(page, num_history_runs="0"))
        assert response.status_code == 422
        assert "Turn session storage off instead." in text(response)

    @pytest.mark.parametrize("typed", ["10001", "-1", "many", ""])
    def test_a_bad_cap_is_named_with_its_own_limits(self, page: Client, ada: Agent, typed: str) -> None:
        response = page.post(ADA, filled(page, max_tool_calls_from_history=typed))
        assert response.status_code == 422
        assert "Enter a whole number from 0 to 10000, in digits only." in text(response)

    @pytest.mark.parametrize("typed", ["maybe", "", "true", "1", "ON", "\x00"])
    def test_a_switch_that_is_neither_on_nor_off_is_refused(self, page: Client, ada: Agent, typed: str) -> None:
        response = page.post(ADA, filled(page, session_storage=typed))
        assert response.status_code == 422
        assert "Choose on or off." in text(response)
        assert saved(ada).session_storage is True

    def test_two_mistakes_are_both_named_and_the_first_gets_the_focus(self, page: Client, ada: Agent) -> None:
        response = page.post(ADA, filled(page, num_history_runs="x", max_tool_calls_from_history="y"))
        html = response.content.decode()
        assert html.count('class="errorlist"') == 2
        assert len(re.findall(r"\sautofocus\b", html)) == 1
        assert html.index("autofocus") < html.index('id="max_tool_calls_from_history"')

    def test_htmx_gets_the_errors_as_a_fragment(self, page: Client, ada: Agent) -> None:
        response = page.post(ADA, filled(page, num_history_runs="x"), headers=PART)
        assert response.status_code == 422
        assert b"<!DOCTYPE html>" not in response.content
        assert "Enter a whole number" in text(response)

    def test_the_bar_lists_what_was_typed_against_what_is_saved(self, page: Client, ada: Agent) -> None:
        said = text(page.post(ADA, filled(page, num_history_runs="x", session_summaries="on")))
        assert "No. of history runs 10 → x" in said
        assert "Session summaries off → on" in said

    def test_settings_of_another_framework_are_not_saved(self, page: Client, ada: Agent) -> None:
        data = filled(page, num_history_runs="5")
        langchain(ada)
        response = page.post(ADA, data)
        assert response.status_code == 409
        assert "Nothing was saved: memory settings are for Agno agents only." in text(response)
        assert page.post(RESTORE, {"version": "1", "base": "1"}).status_code == 409
        assert saved(ada).version == 1


class TestSavingMeanwhile:
    def test_it_shows_both_and_lays_mine_on_top(self, page: Client, ada: Agent) -> None:
        mine = filled(page, num_history_runs="5")
        by_dana(ada, num_history_runs=8, session_summaries=True)
        response = page.post(ADA, mine)
        assert response.status_code == 409
        said = text(response)
        assert "Your changes are not saved yet" in said
        assert "Dana Levi saved version 2 just now, while you were changing version 1." in said
        assert "No. of history runs changed by both 10 8 5 5" in said
        assert "where both of you changed a setting, it holds yours" in said
        assert (saved(ada).num_history_runs, saved(ada).version) == (8, 2)

    def test_the_form_keeps_my_change_and_takes_theirs_where_i_changed_nothing(self, page: Client, ada: Agent) -> None:
        mine = filled(page, num_history_runs="5")
        by_dana(ada, session_summaries=True)
        response = page.post(ADA, mine)
        fields = form(response).fields
        assert fields["num_history_runs"] == ["5"]
        assert fields["session_summaries"][-1] == "on"
        assert fields["version"] == ["2"]
        assert "holds yours" not in text(response)

    def test_saving_again_saves_on_top_and_both_changes_live(self, page: Client, ada: Agent) -> None:
        mine = filled(page, num_history_runs="5")
        by_dana(ada, session_summaries=True, max_tool_calls_from_history=4)
        again = form(page.post(ADA, mine)).fields
        assert page.post(ADA, again).status_code == 303
        now = saved(ada)
        assert (now.version, now.num_history_runs, now.max_tool_calls_from_history) == (3, 5, 4)
        assert now.session_summaries is True

    def test_discarding_mine_is_a_link_to_what_is_saved(self, page: Client, ada: Agent) -> None:
        mine = filled(page, num_history_runs="5")
        by_dana(ada, num_history_runs=8)
        assert "Discard mine" in text(page.post(ADA, mine))
        assert form(page.get(ADA)).fields["num_history_runs"] == ["8"]

    def test_a_third_save_conflicts_again(self, page: Client, ada: Agent) -> None:
        mine = filled(page, num_history_runs="5")
        by_dana(ada, num_history_runs=8)
        again = form(page.post(ADA, mine)).fields
        by_dana(ada, num_history_runs=9)
        response = page.post(ADA, again)
        assert response.status_code == 409
        assert "saved version 3" in text(response)
        assert form(response).fields["num_history_runs"] == ["5"]

    def test_when_both_want_the_same_there_is_nothing_left_to_save(self, page: Client, ada: Agent) -> None:
        mine = filled(page, num_history_runs="5")
        by_dana(ada, num_history_runs=5)
        assert page.post(ADA, mine).status_code == 303
        assert "Dana Levi saved the same values meanwhile, as version 2." in text(page.get(ADA))
        assert saved(ada).version == 2

    @pytest.mark.parametrize("base", ["", "0", "99", "x", None])
    def test_a_conflict_without_a_base_shows_both_sides_and_claims_nothing_of_before(
        self, page: Client, ada: Agent, base: str | None
    ) -> None:
        sent = filled(page, num_history_runs="5", max_tool_calls_from_history="3")
        sent = {**sent, "version": [base]} if base is not None else {k: v for k, v in sent.items() if k != "version"}
        by_dana(ada, num_history_runs=8)
        answer = page.post(ADA, sent)
        said = text(answer)
        assert answer.status_code == 409
        assert "while you were changing an earlier one." in said
        assert "where both of you changed a setting, it holds yours." in said
        assert "Setting v2, saved Yours In the form No. of history runs 8 5 5" in said
        assert "Max tool calls from history no cap 3 3" in said
        assert "changed by both" not in said
        assert "Session summaries off" not in said.partition("In the form")[2].partition("Save mine on top")[0]
        assert saved(ada).num_history_runs == 8
        # on top of theirs, once it has been seen
        assert page.post(ADA, form(answer).fields).status_code == 303
        assert (saved(ada).num_history_runs, saved(ada).max_tool_calls_from_history) == (5, 3)

    def test_what_both_typed_wrong_is_said_before_the_conflict(self, page: Client, ada: Agent) -> None:
        mine = filled(page, num_history_runs="x")
        by_dana(ada, num_history_runs=8)
        response = page.post(ADA, mine)
        assert response.status_code == 422
        fields = form(response).fields
        assert fields["version"] == ["1"]  # so that the conflict is still found
        assert page.post(ADA, {**fields, "num_history_runs": ["5"]}).status_code == 409

    @pytest.mark.parametrize("version", ["", "x", "0", "-1", "99", "9" * 40, "1\x00", "２"])
    def test_a_form_without_a_known_version_never_overwrites(self, page: Client, ada: Agent, version: str) -> None:
        by_dana(ada, num_history_runs=8)
        response = page.post(ADA, {**filled(page, num_history_runs="5"), "version": [version]})
        assert response.status_code == 409
        assert form(response).fields["num_history_runs"] == ["5"]
        assert saved(ada).num_history_runs == 8

    def test_the_frame_hears_of_what_somebody_else_saved(self, page: Client, ada: Agent) -> None:
        mine = filled(page, session_storage="off")
        by_dana(ada, session_storage=False)
        response = page.post(ADA, mine, headers=PART)
        assert response.status_code == 200
        assert "saved the same values meanwhile" in response.headers["HX-Trigger"]
        assert "agent-changed" in response.headers["HX-Trigger"]

    def test_htmx_gets_the_conflict_as_a_fragment(self, page: Client, ada: Agent) -> None:
        mine = filled(page, num_history_runs="5")
        by_dana(ada, num_history_runs=8)
        response = page.post(ADA, mine, headers=PART)
        assert response.status_code == 409
        assert b"<!DOCTYPE html>" not in response.content
        assert "Save mine on top" in text(response)
        assert "agent-changed" in response.headers["HX-Trigger"]
