"""What is stored is counted, found and shown, whatever form it has."""

import json
from typing import Any

import pytest

from studio.models import AuditEvent
from tests.memory.field.rows import NOW, Studio, said, turn
from tests.reading import text

PHOTO = {"id": "i1", "mime_type": "image/jpeg", "content": "QUJD" * 500_000}


def test_02_photo_hides_the_answer(studio: Studio, where: str) -> None:
    run = turn("ph1", "What is this?", "It is a red bike.", input={"input_content": "What is this?", "images": [PHOTO]})
    run["messages"][0]["images"] = [PHOTO]
    studio.both("photo-1", [run], where)
    shown = studio.transcript("photo-1")
    for part in ("What is this?", "image/jpeg · 1.5 MB", "It is a red bike."):
        assert part in shown
    items = studio.read("photo-1", "/messages")["items"]
    assert [one["content"] for one in items] == ["What is this?", "It is a red bike."]
    assert len(studio.page.get(f"/agents/{studio.agent.pk}/threads/photo-1/").content) < 100_000


THUMBNAILS = [PHOTO | {"content": f"{n:03}A" + "QUJD" * 3000} for n in range(200)]
RESULT = "\n".join(f"row {n}" for n in range(6_000))
KEYS = {f"key {n}": "value " * 50 for n in range(10_000)}
BESIDE = {
    "small photos": {"messages": [said("user", "see", images=THUMBNAILS)]},
    "what only a provider reads": {"messages": [said("assistant", "ok", provider_data=KEYS)]},
    "what a provider answered": {"model_provider_data": KEYS, "compaction": KEYS},
    "raw citations": {"citations": {"raw": KEYS, "urls": [{"url": "https://x.org"}]}},
    "a compressed result": {"messages": [said("tool", "ok", tool_call_id="c", compressed_content=json.dumps(KEYS))]},
    "results that are stored twice": {
        "messages": [said("tool", RESULT, tool_call_id=f"c{n}", tool_name="f") for n in range(20)],
        "tools": [{"tool_call_id": f"c{n}", "tool_name": "f", "result": RESULT} for n in range(20)],
    },
    "copies of earlier turns": {"messages": [said("user", "copy " * 1000, from_history=True)] * 600},
    "events": {"events": [{"event": "RunContent", "content": "word " * 100}] * 6000},
    "a long result": {"messages": [said("tool", "row " * 1_000_000, tool_call_id="c1", tool_name="query")]},
    "a photo in a result": {
        "messages": [said("tool", [{"type": "image", "mimeType": "image/png", "data": "QUJD" * 900_000}])]
    },
    "a photo in the text": {"messages": [said("user", "see data:image/png;base64," + "QUJD" * 900_000)]},
    "a state": {"session_state": {f"key {n}": "value " * 50 for n in range(10_000)}},
    "references": {"references": [{"query": "q", "references": [{"content": "page " * 600_000}]}]},
    "a run inside": {"member_responses": [turn("m", "asked", "said", images=[PHOTO, PHOTO])]},
}


@pytest.mark.parametrize("what", BESIDE)
def test_what_is_large_hides_no_text_beside_it(studio: Studio, where: str, what: str) -> None:
    more = dict(BESIDE[what])
    run = turn("r1", "What is this?", "It is a red bike.")
    run["messages"][1:1] = more.pop("messages", [])
    studio.both("s", [run | more], where)
    shown = studio.transcript("s")
    assert "What is this?" in shown
    assert "It is a red bike." in shown
    said_there = [one["content"] for one in studio.read("s", "/messages")["items"]]
    assert "What is this?" in said_there
    assert "It is a red bike." in said_there
    assert len(studio.page.get(f"/agents/{studio.agent.pk}/threads/s/").content) < 200_000


def test_a_run_of_very_many_small_values_is_answered(studio: Studio, where: str) -> None:
    """What cannot be left out is told to be too large, in time."""
    studio.both("s", [turn("r1", "q", "a", unknown=KEYS), turn("r2", "small", "one", created_at=NOW + 1)], where)
    assert "too much for a page" in studio.transcript("s")
    note, *others = studio.read("s", "/messages")["items"]
    assert (note["role"], [one["content"] for one in others]) == ("note", ["small", "one"])


def flow() -> dict[str, object]:
    looked = turn("w1a", "Please check my return", "found it", agent_name="Looker", parent_run_id="w1")
    call = {"id": "c1", "type": "function", "function": {"name": "find_parcel", "arguments": '{"no": "17"}'}}
    looked["messages"][1:1] = [
        said("assistant", None, tool_calls=[call]),
        said("tool", "in Ghent", tool_call_id="c1", tool_name="find_parcel"),
    ]
    paid = turn("w1b", "pay back", "I try", agent_name="Payer", parent_run_id="w1", status="ERROR")
    steps = [
        {"step_name": "look", "executor_name": "Looker", "content": "found it", "success": True},
        {"step_name": "pay", "executor_name": "Payer", "content": "no bank", "success": False, "error": "no bank"},
    ]
    return {
        "run_id": "w1",
        "workflow_id": "wf-1",
        "workflow_name": "Returns",
        "status": "COMPLETED",
        "created_at": NOW,
        "input": "Please check my return",
        "content": "done",
        "step_results": steps,
        "step_executor_runs": [looked, paid],
    }


def test_03_workflow_counts_nothing(studio: Studio, where: str) -> None:
    studio.both("flow-1", [flow()], where, type="workflow")
    thread = studio.read("flow-1")
    assert (thread["messages"], thread["tool_calls"], thread["errors"]) == (6, 1, 1)
    assert studio.found(errors=1) == ["flow-1"]
    asked = text(studio.page.get(f"/agents/{studio.agent.pk}/delete-threads/?id=flow-1"))
    assert "Messages 6 Tool calls 1 Errors 1" in asked
    assert "Text 0 B" not in asked
    studio.api("DELETE", f"agents/{studio.agent.pk}/threads/flow-1")
    counts = AuditEvent.objects.filter(action="threads.delete").latest("pk").data["counts"]
    assert (counts["messages"], counts["tool_calls"], counts["errors"]) == (6, 1, 1)


def test_a_member_that_is_stored_by_itself_too_is_counted_once(studio: Studio, where: str) -> None:
    member = turn("m1", "asked", "answered", parent_run_id="t1")
    team = turn("t1", "question", "answer", team_id="team", member_responses=[member])
    studio.both("team-1", [team, dict(member)], where, type="team")
    assert studio.read("team-1")["messages"] == 4


def test_a_step_that_fails_without_a_run_is_an_error(studio: Studio, where: str) -> None:
    run = {**flow(), "step_executor_runs": []}
    studio.both("flow-2", [run], where, type="workflow")
    assert (studio.read("flow-2")["errors"], studio.found(errors=1)) == (1, ["flow-2"])


def failing(name: str, **more: Any) -> dict[str, Any]:
    return {"step_name": name, "content": "no bank", "success": False, "error": "no bank", **more}


@pytest.mark.parametrize("around", ["Parallel", "Loop"])
def test_a_step_that_fails_with_what_it_holds_is_one_error(studio: Studio, where: str, around: str) -> None:
    steps = flow()["step_results"]
    outer = {"step_name": "all", "step_type": around, "success": False, "steps": steps}
    studio.both("flow-4", [{**flow(), "step_results": [outer]}], where, type="workflow")
    assert studio.read("flow-4")["errors"] == 1


def test_a_step_of_a_workflow_inside_another_that_fails_is_an_error(studio: Studio, where: str) -> None:
    inner = {**flow(), "run_id": "w2", "step_executor_runs": [], "step_results": [failing("pay")]}
    studio.both("flow-5", [{**flow(), "step_results": [], "step_executor_runs": [inner]}], where, type="workflow")
    assert (studio.read("flow-5")["errors"], studio.found(errors=1)) == (1, ["flow-5"])


def test_a_workflow_that_fails_with_the_one_inside_it_is_one_error(studio: Studio, where: str) -> None:
    inner = {**flow(), "run_id": "w2", "step_executor_runs": [], "step_results": [failing("pay")]}
    outer = {**flow(), "step_results": [failing("flow")], "step_executor_runs": [inner]}
    studio.both("flow-6", [outer], where, type="workflow")
    assert studio.read("flow-6")["errors"] == 1


def test_members_of_a_team_in_a_workflow_are_counted_once(studio: Studio, where: str) -> None:
    """Agno stores them in the team's run and beside it."""
    used = {"metrics": {"input_tokens": 7, "output_tokens": 3}, "tools": [{"tool_call_id": "c", "tool_name": "look"}]}
    members = [turn(f"m{n}", f"asked {n}", f"said {n}", agent_name="M", parent_run_id="t", **used) for n in range(2)]
    team = turn("t", "team asked", "team said", team_id="crew", parent_run_id="w1", member_responses=members)
    run = {**flow(), "step_results": [], "step_executor_runs": [team, *members]}
    studio.both("flow-7", [run], where, type="workflow")
    thread = studio.read("flow-7")
    assert (thread["messages"], thread["tool_calls"], thread["tokens"]) == (6, 2, 20)
    told = [one["content"] for one in studio.read("flow-7", "/messages")["items"] if one["content"]]
    assert told == [
        *("Please check my return", "team asked", "asked 0", "said 0", "asked 1", "said 1", "team said", "done")
    ]
    shown = studio.runs("flow-7")
    assert [shown.count(one) for one in ("asked 0", "said 1", "team said")] == [1, 1, 1]


def test_members_of_one_id_that_differ_are_both_there(studio: Studio, where: str) -> None:
    members = [turn("m", f"asked {n}", f"said {n}") for n in range(2)]
    team = turn("t", "q", "a", team_id="crew", member_responses=members[:1])
    studio.both("flow-8", [{**flow(), "step_executor_runs": [team, members[1]]}], where, type="workflow")
    assert studio.read("flow-8")["messages"] == 6
    assert {"said 0", "said 1"} <= {one["content"] for one in studio.read("flow-8", "/messages")["items"]}


def test_many_members_that_are_stored_by_themselves_too_are_given_once(studio: Studio, where: str) -> None:
    """More than one page has."""
    members = [turn(f"m{n}", f"asked {n}", f"said {n}", parent_run_id="t", created_at=NOW + n) for n in range(30)]
    team = turn("t", "q", "a", team_id="crew", member_responses=members, created_at=NOW)
    studio.both("team-2", [team, *map(dict, members)], where, type="team")
    path, cursor = "/messages?limit=200", ""
    told: list[str] = []
    while cursor is not None:
        page = studio.read("team-2", path + (f"&cursor={cursor}" if cursor else ""))
        told, cursor = told + [one["content"] for one in page["items"]], page["next"]
    assert len(told) == len(set(told)) == studio.read("team-2")["messages"] == 62
    (run, *_) = studio.read("team-2", "/runs")["items"]
    assert (run["run_id"], run["members"]) == ("t", [])


def test_tokens_of_runs_inside_are_counted(studio: Studio, where: str) -> None:
    used = {"metrics": {"input_tokens": 7, "output_tokens": 3}}
    studio.both("flow-3", [{**flow(), "step_executor_runs": [turn("x", "q", "a", **used)]}], where)
    assert studio.read("flow-3")["tokens"] == 10


TWICE = json.dumps([turn("t1", "my card was stolen", "blocked")])


@pytest.mark.parametrize("stored", [TWICE, json.dumps(json.loads(TWICE)[0]), [json.dumps(json.loads(TWICE)[0])]])
def test_12_runs_as_a_string(studio: Studio, stored: object) -> None:
    studio.thread("twice-1", stored, session_data=json.dumps({"session_name": "Stolen card"}))
    assert "Stolen card" in studio.listed()
    shown = studio.transcript("twice-1")
    assert "my card was stolen" in shown
    assert "blocked" in shown
    thread = studio.read("twice-1")
    assert (thread["runs"], thread["messages"], thread["name"]) == (1, 2, "Stolen card")
    assert "my card was stolen" in studio.download("twice-1")
    assert studio.api("DELETE", f"agents/{studio.agent.pk}/threads/twice-1").status in (200, 204)


@pytest.mark.parametrize("stored", ["not JSON at all", 7, True, {"runs": []}])
def test_a_column_that_cannot_be_read_says_so(studio: Studio, stored: object) -> None:
    studio.thread("odd", stored)
    shown = studio.transcript("odd")
    assert "No runs" not in shown
    assert studio.read("odd")["runs"] == 1
    assert json.loads(studio.download("odd"))["runs"] == [stored]


def test_a_row_of_the_table_that_is_a_string(studio: Studio) -> None:
    studio.thread("s", None)
    studio._write(
        "insert into agno_runs (run_id, session_id, run_type, run_index, run_data, created_at)"
        " values ('r1', 's', 'agent', 0, %s, %s)",
        [json.dumps(json.dumps(turn("r1", "my card was stolen", "blocked"))), NOW],
    )
    assert "my card was stolen" in studio.transcript("s")
    assert studio.read("s")["messages"] == 2


@pytest.mark.parametrize(
    "asked", [{"order": "4711", "city": "Paris"}, [{"order": "4711"}], {"input_content": {"order": "4711"}}]
)
def test_17_no_title(studio: Studio, where: str, asked: object) -> None:
    run = {"run_id": "nt1", "workflow_id": "wf-1", "status": "COMPLETED", "created_at": NOW, "input": asked}
    studio.both("b6f1c1de", [run | {"content": "done"}], where, type="workflow")
    assert "4711" in studio.read("b6f1c1de")["title"]
    assert studio.found(q="4711") == ["b6f1c1de"]
    assert "4711" in studio.listed("?q=4711")


SPOKEN = {"content": "AAECAw==", "transcript": "said 4711"}


@pytest.mark.parametrize(
    "asked",
    [
        {"input": {"input_content": "", "audios": [SPOKEN]}},
        {"messages": [said("user", None, audio=[{"id": "a"}, SPOKEN])]},
        {"messages": [said("user", [{"type": "input_audio", "input_audio": SPOKEN}])]},
        {"messages": [said("user", [{"type": "text", "text": {"value": "said 4711", "annotations": []}}])]},
    ],
)
def test_what_was_asked_is_the_title_however_it_is_stored(studio: Studio, where: str, asked: dict[str, Any]) -> None:
    studio.both("s", [{"run_id": "r", "agent_id": "a", "created_at": NOW, "content": "done", **asked}], where)
    assert studio.read("s")["title"] == "said 4711"
    assert studio.found(q="4711") == ["s"]
    assert "4711" in studio.runs("s")


@pytest.mark.parametrize("answer", [{"answer": {"total": 4711}}, [{"total": 4711}]])
def test_an_answer_that_is_an_object_has_a_preview(studio: Studio, where: str, answer: object) -> None:
    studio.both("s", [turn("r", "q", "a") | {"content": answer}], where)
    assert "4711" in studio.listed("?q=q")


def test_13_search_two_spellings(studio: Studio) -> None:
    for session_id, name in (("sp-1", "Caf\u00e9 open?"), ("sp-2", "Cafe\u0301 open?")):
        studio.thread(session_id, [], session_data={"session_name": name})
    for q in ("Caf%C3%A9", "Cafe%CC%81", "cafe", "CAF%C3%89"):
        assert sorted(studio.found(q=q)) == ["sp-1", "sp-2"]
        assert studio.listed(f"?q={q}").count("open?") == 2
