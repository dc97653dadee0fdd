"""Addresses: the studio's own pages, the API, and the pages of each agent."""

from allauth.account import views as allauth_views
from django.urls import URLPattern, URLResolver, include, path, register_converter

from studio.agents import views as agents
from studio.api import docs
from studio.audit import views as audit
from studio.health import health, live, ready
from studio.icons import icons
from studio.ids import AgentIdConverter, AnyTextConverter
from studio.keys import views as keys
from studio.people import account, factors, oidc, sign_in
from studio.people import views as people

register_converter(AgentIdConverter, "agent")
register_converter(AnyTextConverter, "any")

urlpatterns: list[URLPattern | URLResolver] = [
    path("api", docs.home),
    path("api/", include("studio.api.urls", namespace="api")),
    path("agents/<agent:agent_id>/", include("memory.urls")),
    path("", agents.home, name="home"),
    path("health", health, name="health"),
    path("health/live", live, name="health-live"),
    path("health/ready", ready, name="health-ready"),
    path("icons.svg", icons, name="icons"),
    path("agents/", agents.agents, name="agents"),
    path("agents/new/", agents.agent_new, name="agent-new"),
    path("agents/<agent:agent_id>/", agents.agent, name="agent"),
    path("agents/<agent:agent_id>/edit/", agents.agent_edit, name="agent-edit"),
    path("agents/<agent:agent_id>/remove/", agents.agent_remove, name="agent-remove"),
    path("agents/<agent:agent_id>/remove/now/", agents.agent_remove_now, name="agent-remove-now"),
    path("keys/", keys.keys, name="keys"),
    path("keys/new/", keys.key_new, name="key-new"),
    path("keys/<slug:prefix>/revoke/", keys.key_revoke, name="key-revoke"),
    path("agents/<agent:agent_id>/connection/", agents.agent_connection, name="connection"),
    path("agents/<agent:agent_id>/connection/password/", agents.agent_rotate, name="connection-rotate"),
    path("people/", people.people_list, name="people"),
    path("people/invite/", people.invite, name="people-invite"),
    path("people/second-factor/", people.factor_policy, name="people-factor-policy"),
    path("people/<int:user_id>/", people.person, name="person"),
    path("people/<int:user_id>/roles/add/", people.role_add, name="person-role-add"),
    path("people/<int:user_id>/roles/remove/", people.role_remove, name="person-role-remove"),
    path("people/<int:user_id>/deactivate/", people.deactivate, name="person-deactivate"),
    path("people/<int:user_id>/reactivate/", people.reactivate, name="person-reactivate"),
    path("people/<int:user_id>/sign-out/", people.sign_out, name="person-sign-out"),
    path("people/<int:user_id>/link/", people.link, name="person-link"),
    path("people/<int:user_id>/factors/remove/", people.factors_remove, name="person-factors-remove"),
    path("agents/<agent:agent_id>/activity/", audit.activity, name="activity"),
    path("audit/", audit.audit_page, name="audit"),
    path("audit/export/", audit.audit_export, name="audit-export"),
    path("account/", account.account, name="account"),
    path("account/still-allowed/<slug:mark>/", account.still_allowed, name="still-allowed"),
    path("account/sessions/", account.own_sessions, name="sessions"),
    path("account/sessions/end/", account.session_end, name="session-end"),
    path("account/sessions/end-others/", account.sessions_end_others, name="sessions-end-others"),
    path("account/sign-out-everywhere/", account.sign_out_everywhere, name="sign-out-everywhere"),
    path("account/factors/first/", factors.first, name="factor-first"),
    # from here on the names are allauth's, which it looks up itself
    path("account/factors/", factors.index, name="mfa_index"),
    path("account/factors/app/add/", factors.app_add, name="mfa_activate_totp"),
    path("account/factors/app/remove/", factors.app_remove, name="mfa_deactivate_totp"),
    path("account/factors/codes/", factors.codes, name="mfa_view_recovery_codes"),
    path("account/factors/codes/new/", factors.codes_new, name="mfa_generate_recovery_codes"),
    path("account/factors/passkeys/", factors.index, name="mfa_list_webauthn"),
    path("account/factors/passkeys/add/", factors.passkey_add, name="mfa_add_webauthn"),
    path("account/factors/passkeys/<int:pk>/rename/", factors.passkey_rename, name="mfa_edit_webauthn"),
    path("account/factors/passkeys/<int:pk>/remove/", factors.passkey_remove, name="mfa_remove_webauthn"),
    path("sign-in/factor/", factors.sign_in, name="mfa_authenticate"),
    path("sign-in/oidc/<slug:provider_id>/", oidc.login, name="openid_connect_login"),
    path("sign-in/oidc/<slug:provider_id>/callback/", oidc.callback, name="openid_connect_callback"),
    path("sign-in/", sign_in.sign_in, name="account_login"),
    path("sign-in/once/<str:token>/", sign_in.once, name="sign-in-once"),
    path("sign-in/expired/", sign_in.expired, name="sign-in-expired"),
    path("sign-in/inactive/", allauth_views.account_inactive, name="account_inactive"),
    path("sign-out/", sign_in.sign_out, name="account_logout"),
    path("account/password/", sign_in.password, name="account_change_password"),
    path("account/password/forgotten/", sign_in.forgotten, name="account_reset_password"),
]

handler400 = "studio.errors.bad_request"
handler403 = "studio.errors.forbidden"
handler404 = "studio.errors.not_found"
handler429 = "studio.errors.too_many"
handler500 = "studio.errors.server_error"
