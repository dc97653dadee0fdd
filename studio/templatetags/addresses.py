"""`{% url %}` that remembers what it wrote of pages and agents: a page has thirty, and routes do not change."""

from functools import lru_cache
from typing import Any

from django import template
from django.template.base import Parser, Token
from django.template.defaulttags import URLNode
from django.template.defaulttags import url as read
from django.urls import NoReverseMatch, reverse
from django.utils.html import conditional_escape

register = template.Library()


def address(name: str, *args: Any) -> str:
    """Return a route's path, as `reverse` does; raises NoReverseMatch."""
    # what follows the agent is a thread's or user's id: of any length, and gone when it is deleted
    return _remembered(name, *args) if len(args) < 2 else reverse(name, args=args)


@lru_cache(maxsize=4096)
def _remembered(name: str, *args: Any) -> str:
    return reverse(name, args=args)


class AddressNode(URLNode):
    """Django's node, with `address` in place of `reverse`."""

    def render(self, context: template.Context) -> str:
        name, args = self.view_name.resolve(context), [value.resolve(context) for value in self.args]
        try:
            found = address(name, *args)
        except NoReverseMatch:
            if self.asvar is None:
                raise
            found = ""
        if self.asvar:
            context[self.asvar] = found
            return ""
        return conditional_escape(found) if context.autoescape else found


@register.tag
def url(parser: Parser, token: Token) -> URLNode:
    node = read(parser, token)
    return node if node.kwargs else AddressNode(node.view_name, node.args, node.kwargs, node.asvar)
