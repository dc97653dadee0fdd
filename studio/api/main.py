"""The API as a whole: its routers and its description."""

from typing import Any, Final

from ninja import NinjaAPI
from ninja.openapi.schema import OpenAPISchema

from memory.api import memory, threads
from studio.api import agents, problems
from studio.api.auth import KeyHeader

DESCRIPTION: Final = """\
Agents, their memory settings and their threads. Every call needs an API key in the header `x-api-key`;
keys are made on the page API keys, or by `.venv/bin/python manage.py api_key create`. xpander-sdk works unchanged with
`XPANDER_BASE_URL` set to this address up to `/api`.

**Ids in paths.** Ids of threads are any text. One of up to 255 ASCII letters, digits and `_ @ : . + -`
that begins with a letter, digit or `_` stands in the path as it is. Any other is written as `~` and the
URL-safe base64 of its UTF-8, without padding: `order 7/2` becomes `~b3JkZXIgNy8y`. In query strings and
in JSON, ids are plain text. In place of an id of more than 4 KB stands `~.` and the first 32 hexadecimal digits of
the SHA-256 of its UTF-8, of the first 10,000 characters for a user's; it goes wherever the id goes. One thread by
itself has its ids whole.

**Pages.** A list answers `items` and the cursors `next` and `previous`; pass one as `cursor`, with the
same filter and sort, until `next` is null.

**Problems** are JSON: `{"error": "not_found", "detail": "…"}`. What a key does not reach is 404, what its
scopes do not include 403. Times are in epoch seconds, as Agno stores them, unless they are ISO 8601.
"""


class StudioAPI(NinjaAPI):
    def get_openapi_schema(self, **options: Any) -> OpenAPISchema:
        """Return the OpenAPI description of the API."""
        # ninja puts a list of examples beside a parameter, where OpenAPI does not allow one
        schema = super().get_openapi_schema(**options)
        for path in schema["paths"].values():
            for operation in path.values():
                for parameter in operation.get("parameters", []):
                    parameter.pop("examples", None)
        return schema


api = StudioAPI(
    title="Agent Studio", version="1", description=DESCRIPTION, auth=KeyHeader(), docs_url=None, urls_namespace="api"
)
problems.register(api)
api.add_router("", agents.router)
api.add_router("", memory.router)
api.add_router("", threads.router)
