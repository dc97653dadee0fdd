"""Values of settings and of audit events, in the words of a page or as code writes them."""

import json
from typing import Any

from django import template

from studio.agents.memory_settings import words

register = template.Library()


@register.filter
def said(value: Any, name: str) -> str:
    """Say a setting's value as a person does: on, off, no cap, 10."""
    return words(name, value)


@register.filter
def literal(value: Any, name: str = "") -> str:
    """Write a value as an agent gets it: true, false, 10; a cap of 0 is no cap, nothing is empty."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None or value == "":
        return "empty"
    return words(name, value) if isinstance(value, int | str) else json.dumps(value, ensure_ascii=False)
