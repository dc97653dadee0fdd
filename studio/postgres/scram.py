"""SCRAM verifiers: passwords in the form that Postgres stores."""

import base64
import hashlib
import hmac
import secrets

# Postgres' own default
ITERATIONS = 4096


def scram_verifier(password: str) -> str:
    """Return the SCRAM-SHA-256 verifier of an ASCII password (RFC 5803); raise ValueError for another.

    Sent in CREATE ROLE instead of the password, which could otherwise be read in server logs.
    """
    if not password.isascii():
        raise ValueError("only ASCII passwords: others need SASLprep first")
    salt = secrets.token_bytes(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, ITERATIONS)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    server_key = hmac.digest(salted, b"Server Key", "sha256")
    stored_key = hashlib.sha256(client_key).digest()
    return f"SCRAM-SHA-256${ITERATIONS}:{_base64(salt)}${_base64(stored_key)}:{_base64(server_key)}"


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
