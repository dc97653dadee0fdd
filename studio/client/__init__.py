"""A client of the studio for agent code. It needs no other package than `httpx`.

The names are those of xpander-sdk, and each call exists twice: `aget` is asynchronous, `get` is not.
The address, which ends in `/api`, and the key are arguments, or come from STUDIO_BASE_URL and
STUDIO_API_KEY, or else from XPANDER_BASE_URL and XPANDER_API_KEY.
"""

from studio.client.agent import Agent, Agents, AgnoSettings, ConnectionString, Session, Sessions
from studio.client.http import StudioError

__all__ = ["Agent", "Agents", "AgnoSettings", "ConnectionString", "Session", "Sessions", "StudioError"]
