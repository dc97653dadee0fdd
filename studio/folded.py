"""Words searched in names, in whatever way both are written."""

from typing import Final

from django.db.models import F, Func, Q, TextField, Value
from django.db.models.functions import NullIf
from django.db.models.lookups import Contains

_UNSEEN: Final = r"[\u0300-\u036f\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufe00-\ufe0f\ufeff]"


class Folded(Func):
    """A text without accents, case, width and what is not seen, as memory_folded of an agent's schema writes it."""

    template = (
        "btrim(regexp_replace(translate(replace(lower(normalize(regexp_replace("
        f"normalize(%(expressions)s, NFKD), '{_UNSEEN}', '', 'g'), NFC)), 'ß', 'ss'), 'ςı', 'σi'), '\\s+', ' ', 'g'))"
    )
    arity = 1
    output_field = TextField()


def has_words(q: str, *fields: str) -> Q:
    """Return the condition that one of these fields contains `q`; words of which nothing is left are in none."""
    words = NullIf(Folded(Value(q)), Value(""))
    found = Q()
    for field in fields:
        found |= Q(Contains(Folded(F(field)), words))
    return found
