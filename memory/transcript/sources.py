"""What an answer is based on: sources that it cites, and texts that the model was given."""

from typing import Any, Final, NamedTuple

from memory.transcript.media import without_bytes
from memory.transcript.model import Source
from memory.transcript.values import as_dict, as_json, as_list, first, string

_MOST: Final = 200
# where providers nest a source
_HOLDERS: Final = (
    "url_citation",
    "file_citation",
    "web",
    "retrievedContext",
    "retrieved_context",
    "document",
    "source",
)
_LISTS: Final = (
    "urls",
    "documents",
    "citations",
    "annotations",
    "grounding_chunks",
    "groundingChunks",
    "search_results",
)


class Document(NamedTuple):
    """A text that the model was given, and what was asked to find it."""

    query: str
    name: str
    text: str


def read_sources(stored: Any, depth: int = 0) -> list[Source]:
    """Return the sources in a run's `citations`, a message's, or a part's, each one once."""
    if not stored:
        return []
    if isinstance(stored, dict) and depth < 4:
        lists = [read_sources(stored[name], depth + 1) for name in _LISTS if stored.get(name)]
        # what the model answered by itself is read only where Agno has read nothing
        inside = [stored.get(name) for name in ("raw", "grounding_metadata", "groundingMetadata")]
        lists = [one for one in lists if one] or [read_sources(one, depth + 1) for one in inside if one]
        found = [source for one in lists for source in one] or [_source(stored)]
    else:
        one_by_one = as_list(stored)[:_MOST]
        found = [_source(one) if isinstance(one, dict | str) else Source() for one in one_by_one]
    return unique(found)


def unique(sources: list[Source]) -> list[Source]:
    """Return each source once, in order; one without anything is left out."""
    return list({(one.url, one.title, one.text): one for one in sources if one.url or one.title or one.text}.values())


def read_searches(citations: Any) -> list[str]:
    return _texts(as_dict(citations).get("search_queries"))


def read_followups(stored: Any) -> list[str]:
    return _texts(stored)


def read_documents(stored: Any) -> list[Document]:
    """Return the texts in `references` of a run, which is a list, or of a message, which is one of them."""
    found = []
    for one in stored if isinstance(stored, list) else [stored]:
        query = _plain(string(as_dict(one).get("query")))
        for document in as_list(as_dict(one).get("references")):
            name = _plain(first(as_dict(document), "name", "title", "url", "id"))
            text = document if isinstance(document, str) else as_dict(document).get("content")
            found.append(Document(query, name, string(text) or as_json(document)))
    return found


def _source(stored: Any) -> Source:
    if isinstance(stored, str):
        return Source(*(("", _plain(stored)) if "://" not in stored else (_plain(stored), "")))
    held = dict(stored)
    for name in _HOLDERS:
        held = {**as_dict(held.get(name)), **held}
    url = next((one for name in ("url", "uri", "source") if "://" in (one := string(held.get(name)))), "")
    title = first(held, "title", "document_title", "file_name", "filename", "name")
    text = next((one for name in ("cited_text", "snippet", "quote") if (one := string(held.get(name)))), "")
    return Source(_plain(url), _plain(title), _plain(text))


def _plain(text: str) -> str:
    return without_bytes(text.strip()[:2000])[0][:1000]


def _texts(stored: Any) -> list[str]:
    return [_plain(one) for one in as_list(stored)[:_MOST] if string(one).strip()]
