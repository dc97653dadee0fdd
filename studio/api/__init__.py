"""The HTTP API: the calls of xpander-sdk, and threads and settings for other programs."""
