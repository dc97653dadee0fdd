"""The addresses that proxies in front of the studio change: a client's, and the one that browsers know."""

from ipaddress import IPv6Address, IPv6Network, ip_address
from typing import Any, Final
from urllib.parse import urlsplit

from django.http.request import split_domain_port

from studio.postgres.kept_files import StartFailure

_PORTS: Final = {"http": 80, "https": 443}


def client_address(forwarded: str, proxies: int) -> str:
    """Return the address that the outermost trusted proxy saw, by X-Forwarded-For; "" if there is none to believe."""
    seen = [hop for part in forwarded.split(",") if (hop := part.strip())]
    # counted from the end: what stands further left was sent by the client and may be made up
    return plain_address(seen[-proxies]) if 0 < proxies <= len(seen) else ""


def plain_address(hop: str) -> str:
    """Read an address with or without port, brackets and quotes; "" for anything else. A mapped IPv4 is an IPv4."""
    text = hop.replace('"', "").strip()
    before, _, port = text.rpartition(":")
    # as a whole first: the last group of an IPv6 looks like a port
    for candidate in (text, before) if port.isdecimal() else (text,):
        bare = candidate[1:-1] if candidate[:1] + candidate[-1:] == "[]" else candidate
        try:
            # without the name of an interface of this machine
            address = ip_address(bare.partition("%")[0])
        except ValueError:
            continue
        mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
        return str(mapped or address)
    return ""


def network_of(address: str) -> str:
    """Return what one client may have of addresses: an IPv4, or the /64 of an IPv6."""
    plain = plain_address(address)
    return str(IPv6Network((plain, 64), strict=False)) if ":" in plain else plain


def is_unread(url: Any) -> bool:
    """Tell whether nobody on the way reads what is sent to an address: by HTTPS, or to this machine itself."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except (AttributeError, TypeError, ValueError):
        return False
    return bool(host) and (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host)))


def is_loopback(host: str) -> bool:
    plain = plain_address(host)
    return host.lower() == "localhost" or bool(plain and ip_address(plain).is_loopback)


def own_url(host: str, port: int) -> str:
    """Return the address of a studio without proxies, which listens there."""
    return f"http://{in_address(host)}:{port}"


def in_address(host: str) -> str:
    """Write a host as in an address: an IPv6 in brackets."""
    return f"[{host}]" if ":" in host else host


def public_url(text: str) -> str:
    """Return PUBLIC_URL as browsers write an origin; raise StartFailure for what is none.

    A missing scheme is not guessed: cookies and redirects depend on it.
    """
    try:
        parts = urlsplit(text)
        port = parts.port
        host = _host(parts.hostname or "")
    except ValueError:
        raise _refused("names no host") from None
    if "://" not in text:
        raise _refused("lacks http:// or https://")
    if parts.scheme not in _PORTS:
        raise _refused("begins with neither http:// nor https://")
    if not split_domain_port(host)[0] or parts.username is not None:
        raise _refused("names no host")
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise _refused("has a path, but the studio is at the root of a host")
    is_usual = port is None or port == _PORTS[parts.scheme]
    return f"{parts.scheme}://{host}" if is_usual else f"{parts.scheme}://{host}:{port}"


def _host(name: str) -> str:
    """Write a host as browsers do: an IPv6 in its short form, letters of other languages in those of DNS."""
    return in_address(str(ip_address(name)) if ":" in name else name.encode("idna").decode().rstrip("."))


def _refused(why: str) -> StartFailure:
    # without the value, which may hold a password
    return StartFailure(f"PUBLIC_URL {why}: write it like https://studio.example.com.")
