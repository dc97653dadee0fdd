"""Passkeys in real Chromium with a virtual authenticator, under our CSP: add, sign in, confirm."""

from playwright.sync_api import BrowserContext, Page

from tests.server import StudioServer
from tests.world import PASSWORD

AUTHENTICATOR = {
    "protocol": "ctap2",
    "transport": "usb",
    "hasResidentKey": False,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}
INVITE = """
import json
from studio.models import Grant, User
user = User.objects.create_user(json.loads({email!r}), json.loads({password!r}))
Grant.objects.create(user=user, role="admin")
"""
AGE = """
from studio.models import Session
from studio.people.sessions import SessionStore
for row in Session.objects.all():
    session = SessionStore(row.session_key)
    for record in session.get("account_authentication_methods", []):
        record["at"] -= 3600
    session.save()
"""


def test_a_passkey_is_added_signs_in_and_confirms(
    browser_context: BrowserContext, browser_page: Page, studio_server: StudioServer
) -> None:
    email = "passkeys@example.com"
    studio_server.python(INVITE, email=email, password=PASSWORD)
    # browsers have passkeys for names, not for numbers
    base, page = studio_server.url.replace("127.0.0.1", "localhost"), browser_page
    devtools = browser_context.new_cdp_session(page)
    devtools.send("WebAuthn.enable")
    devtools.send("WebAuthn.addVirtualAuthenticator", {"options": AUTHENTICATOR})

    def sign_in() -> None:
        page.goto(base + "/sign-in/")
        page.fill("[name=login]", email)
        page.fill("[name=password]", PASSWORD)
        page.click("main button.primary")

    sign_in()
    page.wait_for_url("**/agents/")
    page.goto(base + "/account/factors/passkeys/add/")
    page.click("#add-passkey")
    page.wait_for_url("**/account/factors/codes/")
    assert page.locator(".codes li").count() == 10
    page.goto(base + "/sign-out/")
    page.click("main button.primary")
    page.wait_for_url("**/sign-in/**")

    sign_in()
    page.wait_for_url("**/sign-in/factor/")
    page.click("#use-passkey")
    page.wait_for_url("**/agents/")

    studio_server.python(AGE)
    page.goto(base + "/people/invite/")
    page.fill("[name=email]", "guest@example.com")
    page.click("main form.form button.primary")
    assert page.locator("h1").inner_text() == "Confirm it is you"
    page.click("#use-passkey")
    page.wait_for_selector("#link")
    assert "/sign-in/once/" in page.locator("#link").inner_text()
