"""The HTTP API: what xpander-sdk calls, and the same threads and settings for other programs."""
