"""Call the API in the test's own process, as a program with a key does."""

import json
from dataclasses import dataclass
from typing import Any

from django.test import Client

from studio.audit.record import Actor
from studio.keys import service as keys
from studio.models import Agent

ALL = keys.KEY_SCOPES


@dataclass
class Answer:
    """An answer: status, headers, and the JSON as `body`, None for an empty answer."""

    status: int
    headers: dict[str, str]
    body: Any

    @classmethod
    def of(cls, response: Any) -> "Answer":
        headers = {name.lower(): value for name, value in response.headers.items()}
        if not response.content:
            return cls(response.status_code, headers, None)
        assert headers["content-type"].startswith("application/json"), response.content[:200]
        return cls(response.status_code, headers, json.loads(response.content))

    @property
    def said(self) -> tuple[int, str]:
        """The status and the detail of a problem; fails if the JSON has any other fields."""
        assert set(self.body) == {"error", "detail"}
        assert self.body["error"]
        return self.status, self.body["detail"]


class Api:
    """A program with a key. `api("GET", "agents/list")` is relative to /api/."""

    def __init__(self, key: str = "", **more: str) -> None:
        self.key = key
        self.client = Client(raise_request_exception=False, headers={"x-api-key": key, **more} if key else more)

    @classmethod
    def with_key(cls, *scopes: str, agents: list[Agent] | None = None, name: str = "tests") -> "Api":
        _, text = keys.create(Actor.system(), name=name, scopes=scopes or ALL, agents=agents)
        return cls(text)

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        return Answer.of(self.raw(method, path, "" if body is None else json.dumps(body), **headers))

    def raw(self, method: str, path: str, body: str | bytes = "", **headers: str) -> Any:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.generic(method, f"/api/{path}", body, "application/json", headers=sent)

    def get(self, path: str, **headers: str) -> Any:
        """Return the JSON of a GET that must succeed."""
        answer = self("GET", path, **headers)
        assert answer.status == 200, answer
        return answer.body
