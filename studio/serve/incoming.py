"""A request while it arrives, and where it ends. Whether it is valid is for gunicorn's parser to say."""

from http import HTTPStatus
from typing import Final

# As long as gunicorn allows a line, and twice what a browser sends in all headers.
LINE_BYTES: Final = 8190
HEAD_BYTES: Final = 65_536
# Django answers what is longer than 2.5 MB; what is longer than this is not even received.
BODY_BYTES: Final = 3_000_000
# Seconds for all of a request, and the bytes of its body that must arrive in each further one.
SECONDS: Final = 10
SLOWEST: Final = 16_384


class Refused(Exception):
    """The request is not received to its end; `status` says why."""

    def __init__(self, status: HTTPStatus) -> None:
        super().__init__(status.phrase)
        self.status = status


class Incoming:
    """The bytes of one request that have arrived since `since`."""

    def __init__(self, since: float, data: bytes = b"") -> None:
        self.since = since
        self.data = bytearray()
        # of the head and the body together, once the head is here
        self.length: int | None = None
        self.expects = False
        if data:
            self.add(data)

    @property
    def is_whole(self) -> bool:
        return self.length is not None and len(self.data) >= self.length

    @property
    def seconds(self) -> float:
        """How long it may take in all."""
        return SECONDS + (self.length or 0) / SLOWEST

    def add(self, piece: bytes) -> None:
        """Add what has arrived; raise Refused if it becomes too much, or has no length."""
        searched = max(len(self.data) - 3, 0)
        self.data += piece
        if self.length is not None:
            return
        end = self.data.find(b"\r\n\r\n", searched)
        if end >= 0:
            self.length = end + 4 + self._body_length(bytes(self.data[:end]))
        elif len(self.data) > LINE_BYTES + 2 and b"\r\n" not in self.data[: LINE_BYTES + 2]:
            raise Refused(HTTPStatus.REQUEST_URI_TOO_LONG)
        elif len(self.data) > HEAD_BYTES:
            raise Refused(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    def _body_length(self, head: bytes) -> int:
        fields = [line.partition(b":")[::2] for line in head.split(b"\r\n")[1:]]
        found: dict[bytes, list[bytes]] = {}
        for name, value in fields:
            found.setdefault(name.strip().lower(), []).append(value.strip().lower())
        lengths, encodings = found.get(b"content-length", []), found.get(b"transfer-encoding", [])
        if encodings:
            # a parser that takes one of them reads the body in a thread, however slowly it comes
            raise Refused(HTTPStatus.BAD_REQUEST if lengths else HTTPStatus.LENGTH_REQUIRED)
        if len(lengths) != 1 or not lengths[0].isdigit():
            # no body, or nothing that the parser takes
            return 0
        if len(lengths[0]) > len(str(BODY_BYTES)) or int(lengths[0]) > BODY_BYTES:
            raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        self.expects = b"100-continue" in found.get(b"expect", [])
        return int(lengths[0])
