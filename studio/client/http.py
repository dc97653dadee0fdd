"""HTTP requests to the studio. Each call is written once and runs with or without await."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

import httpx

T = TypeVar("T")
Json = dict[str, Any]

PATIENCE = 10  # how often one request waits for the rate limit


class StudioError(Exception):
    """The studio refused a request; `status_code` is the HTTP status, `description` the reason."""

    def __init__(self, status_code: int, description: str) -> None:
        super().__init__(f"{status_code}: {description}")
        self.status_code = status_code
        self.description = description


@dataclass(frozen=True)
class Call:
    """One request; `path` is relative to the address. With `or_none`, a 404 gives None instead of an error."""

    path: str
    params: Json = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    method: str = "GET"
    or_none: bool = False


# A call is a coroutine over `send`. Its `send` is asynchronous in `awaited`, and blocks in `run`.
Send = Callable[[Call], Awaitable[Any]]
Work = Callable[[Send], Coroutine[Any, Any, T]]


class Studio:
    def __init__(self, base_url: str | None, api_key: str | None, timeout: float) -> None:
        base = base_url or os.environ.get("STUDIO_BASE_URL") or os.environ.get("XPANDER_BASE_URL")
        key = api_key or os.environ.get("STUDIO_API_KEY") or os.environ.get("XPANDER_API_KEY")
        if not base or not key:
            raise ValueError("Set STUDIO_BASE_URL and STUDIO_API_KEY, or pass base_url and api_key.")
        self._base = base.rstrip("/")
        self._options: Json = {"headers": {"x-api-key": key}, "timeout": timeout}

    async def awaited(self, work: Work[T]) -> T:
        async with httpx.AsyncClient(**self._options) as client:

            async def send(call: Call) -> Any:
                response = await client.request(**self._request(call))
                for _ in range(PATIENCE):
                    if (pause := _pause(response)) is None:
                        break
                    await asyncio.sleep(pause)
                    response = await client.request(**self._request(call))
                return _read(call, response)

            return await work(send)

    def run(self, work: Work[T]) -> T:
        with httpx.Client(**self._options) as client:

            async def send(call: Call) -> Any:
                response = client.request(**self._request(call))
                for _ in range(PATIENCE):
                    if (pause := _pause(response)) is None:
                        break
                    time.sleep(pause)
                    response = client.request(**self._request(call))
                return _read(call, response)

            try:
                # the blocking `send` never suspends, so the coroutine ends in its first step
                work(send).send(None)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]
            raise RuntimeError("a call without await has waited")

    def _request(self, call: Call) -> Json:
        url = f"{self._base}/{call.path}"
        return {"method": call.method, "url": url, "params": call.params or None, "headers": call.headers}


def _pause(response: httpx.Response) -> float | None:
    """Return the seconds to wait for the rate limit, None for any other answer."""
    if response.status_code != 429:
        return None
    after = response.headers.get("Retry-After", "")
    return float(after) if after.isascii() and after.isdigit() else 1.0


def _read(call: Call, response: httpx.Response) -> Any:
    if response.status_code == 404 and call.or_none:
        return None
    if not response.is_success:
        try:
            description = str(response.json()["detail"])
        except (ValueError, KeyError, TypeError):
            description = response.reason_phrase
        raise StudioError(response.status_code, description)
    return response.json() if response.content else True
