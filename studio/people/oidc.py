"""Signing in through an OpenID Connect provider, if one is set up: allauth's steps, with claims that decide checked."""

import logging
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import urlsplit

from allauth.socialaccount.models import SocialAccount, SocialApp, SocialToken
from allauth.socialaccount.providers.oauth2.client import OAuth2Error
from allauth.socialaccount.providers.oauth2.views import OAuth2CallbackView, OAuth2LoginView
from allauth.socialaccount.providers.openid_connect.provider import OpenIDConnectProvider
from allauth.socialaccount.providers.openid_connect.views import OpenIDConnectOAuth2Adapter
from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import BadRequest
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render, resolve_url
from django.views.decorators.cache import never_cache
from requests import RequestException

from studio import errors
from studio.audit import refusals
from studio.people import claims, limits
from studio.people.claims import Refused
from studio.proxies import is_unread
from studio.web import get_only, open_forms_kept, see_other, with_query

log = logging.getLogger("studio")

View = Callable[[HttpRequest, str], HttpResponseBase]

# what the audit log calls it
NAME: Final = "OpenID Connect"
# the attribute of a request that tells when the provider asked the person for a proof, 0 if it did not say
ASKED_AT: Final = "provider_asked_at"
_ENDPOINTS: Final = ("authorization_endpoint", "token_endpoint")
_USERINFO: Final = "userinfo_endpoint"
_WELL_KNOWN: Final = "/.well-known/"


@contextmanager
def _understood() -> Iterator[None]:
    """Raise Refused for an answer of the provider that has another shape than the standard's."""
    try:
        yield
    except (AttributeError, LookupError, TypeError, ValueError, RecursionError) as error:
        raise Refused("it sent what cannot be read") from error


class Adapter(OpenIDConnectOAuth2Adapter):
    """Believes a provider only what `claims` checks; allauth tests some of it for truth alone."""

    # of the sign-in that the answer is for
    nonce = ""

    @property
    def openid_config(self) -> dict[str, Any]:
        with _understood():
            config: dict[str, Any] = super().openid_config
            wanted = self.get_provider().app.settings["server_url"].partition(_WELL_KNOWN)[0]
            is_ours = config["issuer"].rstrip("/") == wanted.rstrip("/")
            is_whole = all(isinstance(config[name], str) for name in _ENDPOINTS)
            is_open = not all(is_unread(config[name]) for name in (*_ENDPOINTS, _USERINFO) if name in config)
        if not is_whole:
            raise Refused("its description lacks an address")
        if is_open:
            raise Refused("its description has an address without https://")
        if not is_ours:
            raise Refused("it is another issuer than OIDC_ISSUER says")
        return config

    def get_access_token_data(self, *args: Any, **kwargs: Any) -> Any:
        with _understood():
            return super().get_access_token_data(*args, **kwargs)

    def parse_token(self, data: Any) -> SocialToken:
        with _understood():
            token = data["access_token"]
        if not isinstance(token, str):
            raise Refused("it sent no access token")
        return SocialToken(token=token)

    def complete_login(self, request: HttpRequest, app: Any, token: SocialToken, **kwargs: Any) -> Any:
        config = self.openid_config
        with _understood():
            told = claims.read_id_token(kwargs["response"].get("id_token"))
        sub = claims.check_id_token(told, issuer=config["issuer"], client_id=app.client_id, nonce=self.nonce)
        more = self._userinfo(token.token) if _USERINFO in config else told
        # else another person's answer could be put beside this one's token
        if more.get("sub") != sub:
            raise Refused("its answers are of two people")
        email, is_verified = claims.verified_email(told, more)
        setattr(request, ASKED_AT, claims.asked_at(told))
        # another issuer's ids say nothing of this one's people
        known = SocialAccount.objects.filter(provider=app.provider_id, uid=sub)
        known.exclude(extra_data__id_token__iss=config["issuer"]).delete()
        said = {"iss": config["issuer"], "sub": sub, "email": email, "email_verified": is_verified}
        return self.get_provider().sociallogin_from_response(request, {"id_token": said})

    def _userinfo(self, access_token: str) -> dict[str, Any]:
        with _understood():
            return dict(self._fetch_user_info(access_token))


class Provider(OpenIDConnectProvider):
    oauth2_adapter_class = Adapter

    def redirect(
        self, request: HttpRequest, process: Any, next_url: Any = None, data: Any = None, **kwargs: Any
    ) -> HttpResponse:
        """Send the browser to the provider with a nonce that its answer must hold.

        Whoever is signed in comes back for a fresh proof, so the provider has to ask for one and say so.
        """
        nonce = secrets.token_urlsafe(32)
        again = {"prompt": "login", "max_age": "0"} if request.user.is_authenticated else {}
        kwargs["auth_params"] = {"nonce": nonce, **again}
        response: HttpResponse = super().redirect(request, process, next_url, data, nonce=nonce, **kwargs)
        return response


class Callback(OAuth2CallbackView):
    adapter: Adapter

    def _get_state(self, request: HttpRequest, provider: Provider) -> tuple[Any, Any]:
        state, refusal = super()._get_state(request, provider)
        self.adapter.nonce = state.get("nonce", "") if state else ""
        return state, refusal


def _answering(view: View) -> View:
    """Answer with a page: 503 when the provider cannot be reached, 403 when its answer is not understood."""

    @get_only
    @never_cache
    @login_not_required
    def wrapped(request: HttpRequest, provider_id: str) -> HttpResponseBase:
        try:
            return view(request, provider_id)
        except SocialApp.DoesNotExist:
            raise Http404("no such provider") from None
        except RequestException as error:
            log.warning("OpenID Connect: the provider does not answer: %s", type(error).__name__)
            return render(request, "account/oidc_failed.html", {"why": "away"}, status=503)
        except OAuth2Error as error:
            return refuse(request, str(error))

    return wrapped


def refuse(request: HttpRequest, why: str) -> HttpResponse:
    """Answer that nobody is signed in; the audit log says why."""
    refusals.sign_in_refused(request, "", NAME, why)
    return render(request, "account/oidc_failed.html", {"why": "refused"}, status=403)


@_answering
def login(request: HttpRequest, provider_id: str) -> HttpResponseBase:
    """Begin to sign in; raise BadRequest for what else allauth would take from the address.

    A link of another site leads to the sign-in page, as nobody shall be signed in whom nobody asked.
    """
    # one of these would connect an account of the provider to whoever is signed in, others change what is asked of it
    if other := set(request.GET) - {"next"}:
        raise BadRequest(", ".join(sorted(other)))
    # each begins a session
    if not limits.may_ask(request, NAME):
        refusals.sign_in_refused(request, "", NAME, "too many tries from this address")
        return errors.too_many(request)
    if _is_from_elsewhere(request):
        back = request.GET.get("next")
        return see_other(with_query(resolve_url("account_login"), next=back))
    response: HttpResponseBase = OAuth2LoginView.adapter_view(Adapter(request, provider_id))(request)
    return response


def _is_from_elsewhere(request: HttpRequest) -> bool:
    """Tell whether another site sent the browser here, as all browsers say of HTTPS and of their own machine."""
    if site := request.headers.get("Sec-Fetch-Site", ""):
        return site not in ("same-origin", "none")
    came_from = request.headers.get("Referer", "")
    return bool(came_from) and urlsplit(came_from).netloc != request.get_host()


@_answering
def callback(request: HttpRequest, provider_id: str) -> HttpResponseBase:
    with open_forms_kept(request, request.user):
        response: HttpResponseBase = Callback.adapter_view(Adapter(request, provider_id))(request)
    return response
