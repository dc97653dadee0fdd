from django.urls import include, path, register_converter

from studio.api import docs
from studio.ids import AgentIdConverter, AnyTextConverter
from studio.views import errors

register_converter(AgentIdConverter, "agent")
register_converter(AnyTextConverter, "any")

urlpatterns = [
    path("api", docs.home),
    path("api/", include("studio.api.urls", namespace="api")),
    path("", include("studio.pages")),
    path("agents/<agent:agent_id>/", include("memory.pages")),
]

handler400 = errors.bad_request
handler403 = errors.forbidden
handler404 = errors.not_found
handler429 = errors.too_many
handler500 = errors.server_error
