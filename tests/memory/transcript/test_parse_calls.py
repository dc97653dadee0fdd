"""A run's JSON as values: tool calls, and the results beside them."""

from tests.memory.transcript.parsed import called, calls_of, read, result, said


def test_a_call_without_a_result_says_so() -> None:
    (call,) = calls_of(read({"messages": [called("x")]}))
    assert (call.status, call.result) == ("none", None)


def test_a_failed_call_is_an_error() -> None:
    first, second = calls_of(
        read(
            {
                "messages": [called("x", "y"), result("x", tool_call_error=True), result("y")],
                "tools": [{"tool_call_id": "y", "tool_call_error": True}],
            }
        )
    )
    assert (first.status, second.status) == ("error", "error")


def test_a_result_without_its_call_is_shown_as_a_call() -> None:
    (call,) = calls_of(read({"messages": [result("gone", tool_name="lost", tool_args={"a": 1})]}))
    assert (call.name, call.args.value, call.status) == ("lost", '{"a": 1}', "ok")


def test_a_call_that_only_tools_knows_stands_before_the_answer() -> None:
    run = read(
        {
            "messages": [said("user", "q"), said("assistant", "answer")],
            "tools": [{"tool_call_id": "x", "tool_name": "late", "tool_args": {}, "result": "r"}],
        }
    )
    assert [bool(message.calls) for message in run.messages] == [False, True, False]
    assert calls_of(run)[0].name == "late"


def test_tools_adds_the_duration_and_the_result() -> None:
    (call,) = calls_of(
        read({"messages": [called("x")], "tools": [{"tool_call_id": "x", "result": "r", "metrics": {"duration": 2.5}}]})
    )
    assert call.result
    assert (call.seconds, call.result.value, call.status) == (2.5, "r", "ok")


def test_calls_with_the_same_id_get_their_results_in_order() -> None:
    first, second = calls_of(read({"messages": [called("x"), result("x", "one"), called("x"), result("x", "two")]}))
    assert first.result
    assert second.result
    assert (first.result.value, second.result.value) == ("one", "two")


def test_calls_without_ids_get_their_results_in_order() -> None:
    nameless = {"function": {"name": "f", "arguments": "{}"}}
    first, second = calls_of(
        read(
            {"messages": [said("assistant", None, tool_calls=[nameless, nameless]), result(None, "1"), result("", "2")]}
        )
    )
    assert first.result
    assert second.result
    assert (first.result.value, second.result.value) == ("1", "2")


def test_a_message_with_several_results_gives_each_call_its_own() -> None:
    several = said(
        "tool", "all", tool_calls=[{"tool_call_id": "x", "content": "1"}, {"tool_call_id": "y", "content": "2"}]
    )
    first, second = calls_of(read({"messages": [called("x", "y"), several]}))
    assert first.result
    assert second.result
    assert (first.result.value, second.result.value) == ("1", "2")


def test_calls_of_other_providers_are_read() -> None:
    stored = [{"id": "x", "name": "search", "input": {"q": 1}}, {"call_id": "y", "name": "f", "arguments": "{}"}]
    first, second = calls_of(read({"messages": [said("assistant", None, tool_calls=stored), result("y"), result("x")]}))
    assert (first.name, first.args.value, first.status) == ("search", '{"q": 1}', "ok")
    assert (second.name, second.status) == ("f", "ok")


def test_a_paused_call_says_what_it_waits_for() -> None:
    tool = {"tool_call_id": "x", "tool_name": "delete", "requires_confirmation": True}
    (call,) = calls_of(read({"status": "PAUSED", "messages": [called("x")], "tools": [tool]}))
    assert (call.status, call.wants) == ("waiting", "a confirmation")
    (call,) = calls_of(read({"status": "PAUSED", "messages": [called("x")], "tools": [{**tool, "confirmed": False}]}))
    assert call.status == "refused"
    (call,) = calls_of(read({"messages": [called("x"), result("x")], "tools": [{**tool, "confirmed": True}]}))
    assert call.status == "ok"
