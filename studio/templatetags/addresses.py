"""`{% url %}` that remembers what it wrote: a page has thirty, and the routes of a running studio do not change."""

from functools import lru_cache
from typing import Any

from django import template
from django.template.base import Parser, Token
from django.template.defaulttags import URLNode
from django.template.defaulttags import url as read
from django.urls import NoReverseMatch, reverse
from django.utils.html import conditional_escape

register = template.Library()


@lru_cache(maxsize=4096)
def address(name: str, *args: Any) -> str:
    """Return a route's path, as `reverse` does; raises NoReverseMatch."""
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
