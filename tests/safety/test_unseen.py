"""Names and ids with characters that nobody sees, in every place where a page has a short text of somebody else."""

import re

import pytest
from django.test import Client

from studio.agents import provision
from studio.models import Agent, User
from tests.reading import html
from tests.world import DANA, HTMX, NOW, message, run, signed_in, write_thread

NAME = "\u202egnp\u200b\U000e0041 \u2066z\u0301\u0301\u0301\u0301\u0301\u0301\u0301\u0301\u0301"
UNSEEN = re.compile("[\u202e\u200b\U000e0041\u2066]|\u0301{7}")
# what was said, and what a form sends, stay as they are
LONG = re.compile(r'<div class="(?:plain-text|prose|small muted plain-text)"[^>]*>.*?</div>|value="[^"]*"', re.DOTALL)
# of JSON the accents stay
JSON = re.compile('(<div class="json"[^>]*>[^<]*?)\u0301+')
COPIED = re.compile(r'data-copy="[^"]*"')


def shown(answer: object) -> str:
    return JSON.sub(r"\1", COPIED.sub("", LONG.sub("", html(answer))))


@pytest.fixture
def planted(ada: Agent) -> Agent:
    call = {"id": NAME, "function": {"name": NAME, "arguments": '{"x": "' + NAME + '"}'}}
    messages = [
        message("user", NAME, name=NAME, images=[{"filename": NAME, "url": NAME, "mime_type": NAME}]),
        message("assistant", NAME, tool_calls=[call], citations={"urls": [{"url": f"https://{NAME}", "title": NAME}]}),
        message("tool", NAME, tool_call_id=NAME, tool_name=NAME),
    ]
    more = {"agent_name": NAME, "model": NAME, "followups": [NAME], "status": NAME, "team_id": NAME}
    summary = {"summary": NAME, "topics": [NAME]}
    runs = [run(NAME, NAME, NAME, messages=messages, user_id=f"{NAME} guest", **more)]
    write_thread(ada, NAME, runs, user_id=NAME, session_data={"session_name": NAME}, summary=summary)
    write_thread(ada, "unnamed", [run("r2", NAME, NAME)], user_id=NAME, at=NOW - 9)
    provision.edit_agent(DANA, ada, name=NAME, model_name=NAME, description=NAME)
    User.objects.create_user("unseen@example.com", name=NAME)
    return Agent.objects.get(pk=ada.pk)


def addresses(page: Client, agent: Agent) -> list[str]:
    """The lists, the pages that they lead to, and questions about what is on them."""
    here = f"/agents/{agent.pk}/"
    lists = [
        f"{here}{one}" for one in ("threads/", "users/", "memory/", "activity/", "edit/", "connection/", "remove/")
    ]
    lists += [f"{here}threads/?q=gnp", f"{here}delete-threads/?all=1", "/agents/", "/audit/", "/people/", "/keys/"]
    lists += [f"{here}threads/?status={NAME}", f"{here}threads/?user={NAME}", f"{here}threads/?{NAME}=1"]
    lists += ["/agents/?q=" + NAME, "/people/?q=" + NAME, f"{here}users/?q={NAME}x", "/audit/?who=" + NAME]
    found = [link for one in lists for link in re.findall(r'href="(/(?:agents|people)/[^"#]+)"', html(page.get(one)))]
    return lists + [one.replace("&amp;", "&") for one in dict.fromkeys(found) if "export" not in one]


def test_no_page_has_them_raw(page: Client, planted: Agent) -> None:
    marked = 0
    for address in addresses(page, planted):
        for headers in ({}, HTMX):
            answer = page.get(address, headers=headers)
            if answer.headers["Content-Type"].startswith("text/html"):
                found = UNSEEN.search(shown(answer))
                assert found is None, (address, shown(answer)[max(found.start() - 200, 0) : found.end() + 50])
                marked += "⟨U+202E⟩" in html(answer)
    assert marked > 20


def test_the_question_of_a_deletion_marks_them(page: Client, planted: Agent) -> None:
    said = html(page.get(f"/agents/{planted.pk}/delete-threads/?all=1", headers=HTMX))
    assert "⟨U+202E⟩gnp⟨U+200B⟩⟨U+E0041⟩" in said
    assert UNSEEN.search(shown(page.get(f"/agents/{planted.pk}/delete-threads/?all=1"))) is None


def test_a_filter_keeps_what_was_typed(page: Client, planted: Agent) -> None:
    said = html(page.get(f"/agents/{planted.pk}/threads/", {"q": NAME, "status": NAME}))
    assert f'value="{NAME}"' in said
    assert "“⟨U+202E⟩gnp" in said


def test_json_is_shown_with_escapes_and_downloaded_as_it_is(page: Client, planted: Agent) -> None:
    thread = html(page.get(f"/agents/{planted.pk}/threads/unnamed/"))
    (address,) = set(re.findall(r'href="([^"]*/runs/[^"]*)"', thread))
    shown = page.get(address).content.decode()
    assert "\u202e" not in shown
    assert "\u200b" not in shown
    assert "\\u202egnp\\u200b" in shown
    download = b"".join(page.get(address, {"download": "1"}))
    assert "\u202e" in download.decode()


def test_a_choice_of_agents_marks_them(page: Client, planted: Agent, admin: User) -> None:
    for address in ("/people/invite/", "/keys/new/", f"/people/{admin.pk}/"):
        answer = signed_in(admin).get(address)
        assert answer.status_code == 200
        assert "⟨U+202E⟩gnp" in html(answer)
        assert UNSEEN.search(shown(answer)) is None
