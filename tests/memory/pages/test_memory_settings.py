"""The Memory tab: its form, what it refuses, versions, and two people saving at once."""

import re
from typing import Any

import pytest
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext

from studio import token
from studio.agents import memory_settings
from studio.audit.record import Actor
from studio.models import Agent, AuditEvent, MemorySettings, User
from tests.markup import Form, Page
from tests.reading import links, text
from tests.world import DANA, HTMX, new_person, person, run, signed_in, write_thread

ADA = "/agents/agt-ada/memory/"
RESTORE = "/agents/agt-ada/memory/restore/"
PART = {**HTMX, "HX-Target": "memory"}


def saved(agent: Agent) -> MemorySettings:
    return MemorySettings.objects.get(agent=agent)


def by_dana(agent: Agent, **values: Any) -> MemorySettings:
    return memory_settings.save(DANA, agent, values, saved(agent).version)


def form(response: HttpResponse) -> Form:
    """The settings form as a browser would send it: disabled controls are not in it."""
    return next(one for one in Page(response.content.decode()).forms if one.action == ADA and one.method == "post")


def filled(client: Client, **changes: str) -> dict[str, list[str]]:
    """The page's form with some fields typed over."""
    return {**form(client.get(ADA)).fields, **{name: [value] for name, value in changes.items()}}


def langchain(agent: Agent) -> None:
    agent.framework = "langchain"
    agent.save()


class TestLooking:
    def test_the_sections_stand_in_the_order_of_the_agents_settings(self, page: Client, ada: Agent) -> None:
        said = text(page.get(ADA))
        places = [
            said.index(label)
            for label in (
                "Session storage",
                "No. of history runs",
                "Max tool calls from history",
                "Session summaries",
                "What agents get",
                "Versions",
            )
        ]
        assert places == sorted(places)

    def test_each_section_says_its_default(self, page: Client, ada: Agent) -> None:
        said = text(page.get(ADA))
        for default in ("Default: on", "Default: 10", "0 means no cap. Default: 0", "Default: off"):
            assert default in said

    def test_it_says_when_settings_take_effect_and_what_summaries_cost(self, page: Client, ada: Agent) -> None:
        said = text(page.get(ADA))
        assert "Takes effect when the agent is next loaded." in said
        assert "One more model call each turn, and the summary joins the system message." in said
        assert "runs that failed, were paused or cancelled, and sub-runs are left out" in said

    def test_the_form_holds_the_saved_values(self, page: Client, ada: Agent) -> None:
        by_dana(ada, num_history_runs=7, max_tool_calls_from_history=40, session_summaries=True)
        fields = form(page.get(ADA)).fields
        assert fields["version"] == ["2"]
        assert fields["num_history_runs"] == ["7"]
        assert fields["max_tool_calls_from_history"] == ["40"]
        assert fields["session_storage"] == ["off", "on"]  # the last one is what counts
        assert fields["session_summaries"] == ["off", "on"]

    def test_it_shows_what_agents_get_by_name(self, page: Client, ada: Agent) -> None:
        said = text(page.get(ADA))
        assert "session_storage true num_history_runs 10" in said
        assert "max_tool_calls_from_history no cap session_summaries false" in said

    def test_with_storage_off_the_others_are_disabled_and_say_why(self, page: Client, ada: Agent) -> None:
        by_dana(ada, session_storage=False, num_history_runs=7)
        response = page.get(ADA)
        html = response.content.decode()
        assert html.count("Needs session storage, which is off. The saved value is kept.") == 3
        assert '<fieldset class="bare" id="history" disabled>' in html
        assert '<fieldset class="bare" id="summaries" disabled>' in html
        said = text(response)
        assert "session_storage false num_history_runs 7 not used" in said
        assert "With storage off an agent gets no database" in said

    def test_storage_that_is_on_disables_nothing(self, page: Client, ada: Agent) -> None:
        assert " disabled>" not in page.get(ADA).content.decode()

    def test_the_presets_are_those_of_the_design(self, page: Client, ada: Agent) -> None:
        html = page.get(ADA).content.decode()
        assert [n for n in range(1001) if f'data-preset="{n}"' in html] == [3, 5, 10, 20]

    def test_another_framework_is_shown_disabled_with_the_reason(self, page: Client, ada: Agent) -> None:
        langchain(ada)
        response = page.get(ADA)
        assert "LangChain agents keep their history by themselves" in text(response)
        html = response.content.decode()
        assert all(one.endswith(" disabled>") for one in re.findall("<fieldset class=.bare.[^>]*>", html))
        assert not [one for one in Page(html).forms if one.action in (ADA, RESTORE)]

    def test_threads_and_users_are_not_offered_for_another_framework(self, page: Client, ada: Agent) -> None:
        langchain(ada)
        found = links(page.get(ADA))
        assert "/agents/agt-ada/activity/" in found
        assert "/agents/agt-ada/threads/" not in found

    def test_htmx_gets_the_fragment_and_everybody_else_the_page(self, page: Client, ada: Agent) -> None:
        whole, part = page.get(ADA), page.get(ADA, headers=PART)
        assert b"<!DOCTYPE html>" in whole.content
        assert b"<!DOCTYPE html>" not in part.content
        assert part.content.strip().startswith(b'<div class="columns" id="memory">')
        assert "HX-Request" in whole.headers["Vary"]

    def test_the_frame_asks_for_the_whole_page(self, page: Client, ada: Agent) -> None:
        frame = page.get(ADA, headers={**HTMX, "HX-Target": "agent-head"})
        assert b'id="agent-head"' in frame.content
        assert b'id="side-agents"' in frame.content

    def test_queries_do_not_grow_with_threads_or_versions(self, page: Client, ada: Agent) -> None:
        with CaptureQueriesContext(connection) as few:
            page.get(ADA)
        for number in range(15):
            write_thread(ada, f"s-{number}", [run(f"r-{number}")])
            by_dana(ada, num_history_runs=100 + number)
        with CaptureQueriesContext(connection) as many:
            page.get(ADA)
        assert len(many) == len(few) <= 7

    def test_no_transcript_is_read(self, page: Client, ada: Agent) -> None:
        write_thread(ada, "s")
        with CaptureQueriesContext(connection) as queries:
            page.get(ADA)
        for query in queries:
            assert "agno_" not in query["sql"]


class TestSaving:
    def test_it_saves_and_says_so(self, page: Client, ada: Agent) -> None:
        response = page.post(ADA, filled(page, num_history_runs="5"))
        assert (response.status_code, response.headers["Location"]) == (303, ADA)
        assert saved(ada).num_history_runs == 5
        said = text(page.get(ADA))
        assert "Saved as version 2. Agents get it when they are next loaded." in said
        assert "num_history_runs 10 → to 5" in said

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


class TestVersions:
    def test_they_say_who_changed_what(self, page: Client, ada: Agent) -> None:
        by_dana(ada, num_history_runs=20, max_tool_calls_from_history=5)
        by_dana(ada, session_storage=False)
        said = text(page.get(ADA))
        assert "v3 · Dana Levi · just now session_storage true → to false In use" in said
        assert "max_tool_calls_from_history no cap → to 5" in said
        assert "v1 · Agent Studio" in said

    def test_any_of_them_can_be_restored(self, page: Client, ada: Agent) -> None:
        by_dana(ada, num_history_runs=20)
        by_dana(ada, num_history_runs=30)
        forms = [one for one in Page(page.get(ADA).content.decode()).forms if one.action == RESTORE]
        assert [one.fields["version"] for one in forms] == [["2"], ["1"]]
        response = page.post(RESTORE, forms[0].fields)
        assert (response.status_code, response.headers["Location"]) == (303, ADA)
        assert (saved(ada).num_history_runs, saved(ada).version) == (20, 4)
        assert "Version 2 is restored as version 4." in text(page.get(ADA))

    def test_one_with_the_values_of_now_is_not_offered(self, page: Client, ada: Agent) -> None:
        by_dana(ada, num_history_runs=20)
        by_dana(ada, num_history_runs=10)
        response = page.get(ADA)
        assert "Same values as now" in text(response)
        forms = [one for one in Page(response.content.decode()).forms if one.action == RESTORE]
        assert [one.fields["version"] for one in forms] == [["2"]]

    def test_restoring_what_is_saved_already_says_so(self, page: Client, ada: Agent) -> None:
        page.post(RESTORE, {"version": "1", "base": "1"})
        assert "Nothing to restore: version 1 is what is saved." in text(page.get(ADA))

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


class TestWhoMay:
    @pytest.mark.parametrize("name", ["viewer", "support", "privacy"])
    def test_a_reader_sees_the_values_and_no_controls(self, ada: Agent, name: str) -> None:
        by_dana(ada, num_history_runs=7)
        by_dana(ada, max_tool_calls_from_history=40)
        response = signed_in(person(name)).get(ADA)
        assert response.status_code == 200
        said = text(response)
        assert "You can read these settings." in said
        assert "No. of history runs 7" in said
        assert "Max tool calls from history 40" in said
        found = Page(response.content.decode())
        assert not [one for one in found.forms if one.action in (ADA, RESTORE)]
        assert b'name="num_history_runs"' not in response.content
        assert b"data-preset" not in response.content
        assert "Save" not in said.split("What agents get")[0].split("Session storage")[-1]

    @pytest.mark.parametrize("name", ["viewer", "support", "privacy"])
    def test_a_reader_is_refused_by_the_server_too(self, page: Client, ada: Agent, name: str) -> None:
        assert signed_in(person(name)).post(ADA, filled(page, num_history_runs="5")).status_code == 403
        assert signed_in(person(name)).post(RESTORE, {"version": "1", "base": "1"}).status_code == 403
        assert saved(ada).version == 1

    @pytest.mark.parametrize("name", ["operator", "admin"])
    def test_an_operator_and_an_admin_may_save(self, page: Client, ada: Agent, name: str) -> None:
        assert signed_in(person(name)).post(ADA, filled(page, num_history_runs="5")).status_code == 303

    def test_an_operator_of_one_agent_may_not_see_another(self, ada: Agent, bruno: Agent) -> None:
        person = new_person("operator", bruno)
        client = signed_in(person)
        assert client.get("/agents/agt-bruno/memory/").status_code == 200
        assert client.get(ADA).status_code == 404
        assert client.post(ADA, {"num_history_runs": "5", "version": "1"}).status_code == 404
        assert client.post(RESTORE, {"version": "1", "base": "1"}).status_code == 404
        assert saved(ada).version == 1

    def test_it_shows_this_agents_settings_only(self, page: Client, ada: Agent, bruno: Agent) -> None:
        by_dana(bruno, num_history_runs=77)
        write_thread(bruno, "s", [run("r")])
        response = page.get(ADA)
        assert form(response).fields["num_history_runs"] == ["10"]
        assert "latest thread" not in text(response)

    def test_strangers_sign_in_first(self, client: Client, ada: Agent) -> None:
        for response in (client.get(ADA), client.post(ADA, {}), client.post(RESTORE, {})):
            assert response.status_code == 302
            assert response.headers["Location"].startswith("/sign-in/")

    def test_an_agent_removed_while_it_is_saved_is_not_found(
        self, page: Client, ada: Agent, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        data = filled(page, num_history_runs="5")

        def removed(*_: Any, **__: Any) -> None:
            raise MemorySettings.DoesNotExist

        monkeypatch.setattr("studio.agents.memory_settings.save", removed)
        assert page.post(ADA, data).status_code == 404
        assert page.post(RESTORE, {"version": "1", "base": "1"}).status_code == 404

    def test_an_agent_whose_tables_are_missing_says_so(self, admin: User) -> None:
        agent = Agent.objects.create(id="agt-lost", name="Lost", schema_name="ag_agt_lost")
        MemorySettings.objects.create(agent=agent)
        client = Client(raise_request_exception=False)
        client.force_login(admin)
        response = client.get("/agents/agt-lost/memory/")
        assert response.status_code == 503
        assert "This agent's tables are missing" in text(response)

    def test_an_unknown_agent_is_not_found(self, page: Client) -> None:
        assert page.get("/agents/agt-nobody/memory/").status_code == 404

    @pytest.mark.parametrize("method", ["put", "patch", "delete"])
    def test_other_methods_are_not_allowed(self, page: Client, ada: Agent, method: str) -> None:
        assert getattr(page, method)(ADA).status_code == 405

    @pytest.mark.parametrize("method", ["get", "put", "patch", "delete"])
    def test_restoring_is_post_only(self, page: Client, ada: Agent, method: str) -> None:
        assert getattr(page, method)(RESTORE).status_code == 405

    def test_a_form_of_another_site_is_refused(self, admin: User, ada: Agent) -> None:
        client = Client(enforce_csrf_checks=True)
        client.force_login(admin)
        assert client.post(ADA, {"num_history_runs": "5", "version": "1"}).status_code == 403
        assert saved(ada).version == 1


class TestHostileNames:
    def test_names_of_people_are_text(self, page: Client, ada: Agent) -> None:
        memory_settings.save(Actor("person", "9", '<img src=x onerror="alert(1)">'), ada, {"num_history_runs": 3}, 1)
        html = page.get(ADA).content.decode()
        assert "<img" not in html
        assert "&lt;img src=x" in html
