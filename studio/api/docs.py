"""The page with the API's reference, rendered on the server from the OpenAPI description."""

from functools import cache
from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from studio.api import reference
from studio.render import markdown
from studio.web import get_only


@login_not_required
@get_only
def home(request: HttpRequest) -> HttpResponse:
    return redirect("api:docs")


@get_only
def page(request: HttpRequest) -> HttpResponse:
    # a copy, because rendering adds the context of this request to it
    return render(request, "studio/api_docs.html", {**_context()})


@cache
def _context() -> dict[str, Any]:
    from studio.api.main import DESCRIPTION, api

    schema = api.get_openapi_schema()
    return {
        "introduction": markdown(DESCRIPTION),
        "groups": reference.groups(schema),
        "models": reference.models(schema),
    }
