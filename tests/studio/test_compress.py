"""Pages are sent compressed, and what shows a secret is not."""

import gzip
import zlib
from collections.abc import Iterator

import pytest
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.test import Client, RequestFactory
from hypothesis import given
from hypothesis import strategies as st

from studio import compress
from studio.models import Agent
from tests.world import run, write_thread

GZIP = {"Accept-Encoding": "gzip, deflate, br"}
PAGE = b"<p>Threads and threads and threads</p>" * 200


def answer(response: HttpResponseBase, method: str = "GET", **headers: str) -> HttpResponseBase:
    request: HttpRequest = getattr(RequestFactory(), method.lower())("/", headers=GZIP | headers)
    return compress.compressed(lambda _: response)(request)


def test_a_list_is_sent_compressed_and_reads_the_same(page: Client, ada: Agent) -> None:
    for number in range(50):
        write_thread(ada, f"thread-{number}", [run(f"run-{number}", f"Question number {number}")])
    address = f"/agents/{ada.pk}/threads/"
    sent = page.get(address, headers=GZIP)
    assert sent["Content-Encoding"] == "gzip"
    assert "Accept-Encoding" in sent["Vary"]
    assert int(sent["Content-Length"]) == len(sent.content) < 60_000
    assert "Question number 49" in gzip.decompress(sent.content).decode()
    assert "Content-Encoding" not in page.get(address)


def test_a_transcript_is_sent_compressed_and_whole(page: Client, ada: Agent) -> None:
    write_thread(ada, "long", [run("run-1", "Where is my order?", "On its way")])
    sent = page.get(f"/agents/{ada.pk}/threads/long/", headers=GZIP)
    assert sent["Content-Encoding"] == "gzip"
    assert int(sent["Content-Length"]) == len(sent.content)
    text = gzip.decompress(sent.content).decode()
    assert text.index("Where is my order?") < text.index("On its way") < text.index("</html>")


@pytest.mark.django_db
def test_a_stream_is_compressed_chunk_by_chunk_and_closed() -> None:
    closed = []

    def chunks() -> Iterator[bytes]:
        try:
            yield b"<p>one</p>"
            yield b""
            yield b"<p>two</p>"
        finally:
            closed.append(True)

    sent = answer(StreamingHttpResponse(chunks()))
    assert isinstance(sent, StreamingHttpResponse)
    parts = list(sent.streaming_content)  # type: ignore[call-overload]
    assert gzip.decompress(b"".join(parts)) == b"<p>one</p><p>two</p>"
    sent.close()
    assert closed == [True]


@given(st.lists(st.binary(max_size=200)))
def test_each_chunk_can_be_read_when_it_has_arrived(chunks: list[bytes]) -> None:
    browser = zlib.decompressobj(zlib.MAX_WBITS | 16)
    sent = compress.gzip(chunks)
    assert browser.decompress(next(sent)) == b""
    assert [browser.decompress(next(sent)) for _ in chunks] == chunks
    # the check sum and the length are right
    assert browser.decompress(b"".join(sent)) == b""
    assert browser.eof


def test_lengths_of_one_page_differ() -> None:
    lengths = {len(b"".join(compress.gzip([PAGE]))) for _ in range(50)}
    assert len(lengths) > 10
    assert max(lengths) - min(lengths) < compress.PADDING


@pytest.mark.parametrize(
    ("response", "method"),
    [
        (HttpResponse(PAGE, headers={"Cache-Control": "no-store"}), "GET"),
        (HttpResponse(PAGE), "POST"),
        (HttpResponse(PAGE), "HEAD"),
        (HttpResponse(PAGE, content_type="application/json"), "GET"),
        (HttpResponse(PAGE, headers={"Content-Encoding": "br"}), "GET"),
        (HttpResponse(b"<p>short</p>"), "GET"),
    ],
    ids=["secret", "post", "head", "no page", "compressed already", "short"],
)
def test_what_is_secret_short_or_no_page_is_sent_as_it_is(response: HttpResponse, method: str) -> None:
    before = response.content
    sent = answer(response, method)
    assert isinstance(sent, HttpResponse)
    assert sent.content == before


@pytest.mark.parametrize("address", ["/agents/agt-ada/connection/", "/keys/new/", "/account/", "/people/"])
def test_pages_that_may_show_a_key_a_password_or_a_link_are_not_compressed(page: Client, address: str) -> None:
    sent = page.get(address, headers=GZIP)
    assert sent.status_code == 200
    assert "Content-Encoding" not in sent
