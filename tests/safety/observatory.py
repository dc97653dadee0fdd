"""Points of an answer by the table that Mozilla publishes for its HTTP Observatory.

https://developer.mozilla.org/en-US/observatory/docs/tests_and_scoring and the modifiers in the
Observatory's own grader (read in November 2026). A site starts at 100; bonuses count from 90 up.
Not counted, as an answer alone does not tell: the redirect from HTTP, and HSTS preloading (+5).
"""

import re
from html.parser import HTMLParser
from http.cookies import SimpleCookie
from typing import Any, Final

SIX_MONTHS: Final = 15_768_000
PRIVATE: Final = {"no-referrer", "same-origin", "strict-origin", "strict-origin-when-cross-origin"}
BROAD: Final = {"*", "https:", "http:", "ftp:", "data:", "blob:"}


def points(response: Any) -> tuple[int, dict[str, int]]:
    """Return the points of a Django answer over HTTPS, and what each test of the table gave."""
    headers = response.headers
    policy = _policy(headers.get("Content-Security-Policy", ""))
    given = {
        "csp": _csp(policy),
        "cookies": _cookies(response.cookies),
        "cors": _cors(headers.get("Access-Control-Allow-Origin")),
        "hsts": _hsts(headers.get("Strict-Transport-Security", "")),
        "referrer": _referrer(headers.get("Referrer-Policy")),
        "sri": _scripts(response),
        "nosniff": 0 if headers.get("X-Content-Type-Options", "").lower() == "nosniff" else -5,
        "framing": _framing(policy, headers.get("X-Frame-Options", "")),
        "corp": _corp(headers.get("Cross-Origin-Resource-Policy")),
    }
    penalties = sum(value for value in given.values() if value < 0)
    bonuses = sum(value for value in given.values() if value > 0)
    return 100 + penalties + (bonuses if 100 + penalties >= 90 else 0), given


def _policy(header: str) -> dict[str, set[str]]:
    words = [directive.split() for directive in header.split(";") if directive.strip()]
    return {name.lower(): {source.lower() for source in sources} for name, *sources in words}


def _csp(policy: dict[str, set[str]]) -> int:
    if not policy:
        return -25
    default = policy.get("default-src", {"*"})
    script, style, objects = (policy.get(name, default) for name in ("script-src", "style-src", "object-src"))
    if (script | objects) & (BROAD | {"'unsafe-inline'"}):
        return -20
    sources = set().union(*policy.values())
    if any(source.startswith(("http:", "ws:", "ftp:")) for source in sources):
        return -20
    if "'unsafe-eval'" in sources:
        return -10
    if style & (BROAD | {"'unsafe-inline'"}):
        return 0
    if default == {"'none'"} and policy.get("form-action", {"*"}) in ({"'self'"}, {"'none'"}):
        return 10
    return 5


def _cookies(cookies: SimpleCookie) -> int:
    # one that is taken back is none
    set_now = [cookie for cookie in cookies.values() if cookie["max-age"] != 0]
    if not set_now:
        return 0
    worst = 5
    for cookie in set_now:
        is_session = "session" in cookie.key.lower()
        if not cookie["secure"]:
            worst = min(worst, -40 if is_session else -20)
        if is_session and not cookie["httponly"]:
            worst = min(worst, -30)
        if cookie["samesite"] not in ("Lax", "Strict"):
            worst = min(worst, 0 if cookie["samesite"] == "" and "csrf" not in cookie.key else -20)
    return worst


def _cors(origin: str | None) -> int:
    return -50 if origin == "*" else 0


def _hsts(header: str) -> int:
    age = re.search(r"max-age=(\d+)", header)
    if age is None:
        return -20
    return 0 if int(age[1]) >= SIX_MONTHS else -10


def _referrer(header: str | None) -> int:
    if header is None:
        return 0
    return 5 if header.split(",")[-1].strip() in PRIVATE else -5


def _framing(policy: dict[str, set[str]], header: str) -> int:
    if policy.get("frame-ancestors", set()) & {"'none'", "'self'"}:
        return 5
    return 0 if header.upper() in ("DENY", "SAMEORIGIN") else -20


def _corp(header: str | None) -> int:
    if header is None or header == "cross-origin":
        return 0
    return 10 if header in ("same-origin", "same-site") else -5


class _Scripts(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.foreign = 0
        self.ours = 0
        self.signed = 0
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        have = dict(attrs)
        source = have.get("src")
        if tag != "script" or not source:
            return
        if source.startswith("/") and not source.startswith("//"):
            self.ours += 1
        else:
            self.foreign += 1
        self.signed += bool(have.get("integrity"))


def _scripts(response: Any) -> int:
    if not response.headers.get("Content-Type", "").startswith("text/html") or response.streaming:
        return 0
    scripts = _Scripts(response.content.decode())
    if scripts.foreign:
        return -50
    return 5 if scripts.ours and scripts.signed == scripts.ours else 0
