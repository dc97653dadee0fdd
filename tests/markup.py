"""Reading a page as a person does: its text, its links and its forms."""

from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urljoin

import httpx

UNSEEN = {"script", "style", "template"}
INLINE = {"a", "abbr", "b", "bdi", "bdo", "code", "del", "em", "i", "kbd", "small", "span", "strong", "time"}


@dataclass
class Form:
    """A form as a browser would send it, with the values that its fields have on the page."""

    action: str
    method: str
    fields: dict[str, list[str]] = field(default_factory=dict)
    buttons: list[tuple[str, str]] = field(default_factory=list)

    def send(self, client: httpx.Client, page: httpx.Response, press: str = "", **values: str) -> httpx.Response:
        """Send the form from its page; `press` is the name of a button, and values replace those of fields."""
        data: dict[str, list[str]] = {**self.fields, **{name: [value] for name, value in values.items()}}
        for name, value in self.buttons:
            if name and (press == name or (not press and len(self.buttons) == 1)):
                data.setdefault(name, []).append(value)
        address = urljoin(str(page.url), self.action)
        if self.method == "get":
            return client.get(address, params=data)
        return client.post(address, data=data, headers={"Referer": str(page.url)})


class Page(HTMLParser):
    """A parsed page: the parts that tests look at."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.links: list[str] = []
        self.forms: list[Form] = []
        self._open: list[Form] = []
        self._unseen = 0
        # whether each open fieldset is disabled, itself or by one around it
        self._off: list[bool] = [False]
        self._area: tuple[str, list[str]] | None = None
        self._select = ""
        self.feed(html)
        self.close()

    @property
    def text(self) -> str:
        """The text of the page, with entities resolved, and each block and cell on a line of its own."""
        return "".join(self.texts)

    def form(self, part_of_action: str) -> Form:
        """Return the first POST form with this address."""
        return next(form for form in self.forms if form.method == "post" and part_of_action in form.action)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        have = {name: value or "" for name, value in attrs}
        self._break(tag)
        if tag in UNSEEN:
            self._unseen += 1
        elif tag == "a" and "href" in have:
            self.links.append(have["href"])
        elif tag == "form":
            self.forms.append(Form(have.get("action", ""), have.get("method", "get").lower()))
            self._open.append(self.forms[-1])
        elif tag == "fieldset":
            self._off.append(self._off[-1] or "disabled" in have)
        elif self._open and "disabled" not in have and not self._off[-1]:
            self._field(tag, have)

    def _field(self, tag: str, have: dict[str, str]) -> None:
        fields, name = self._open[-1].fields, have.get("name", "")
        kind = have.get("type", "text")
        if tag == "input" and name and kind not in ("submit", "button", "image", "file"):
            if kind not in ("checkbox", "radio") or "checked" in have:
                fields.setdefault(name, []).append(have.get("value", "on" if kind == "checkbox" else ""))
        elif tag == "button" and have.get("type", "submit") == "submit":
            self._open[-1].buttons.append((name, have.get("value", "")))
        elif tag == "textarea" and name:
            self._area = (name, [])
        elif tag == "select":
            self._select = name
        elif tag == "option" and self._select and (self._select not in fields or "selected" in have):
            fields[self._select] = [have.get("value", "")]

    def _break(self, tag: str) -> None:
        if tag not in INLINE:
            self.texts.append("\n")

    def handle_endtag(self, tag: str) -> None:
        self._break(tag)
        if tag in UNSEEN:
            self._unseen -= 1
        elif tag == "form" and self._open:
            self._open.pop()
        elif tag == "fieldset" and len(self._off) > 1:
            self._off.pop()
        elif tag == "select":
            self._select = ""
        elif tag == "textarea" and self._area and self._open:
            name, parts = self._area
            self._open[-1].fields.setdefault(name, []).append("".join(parts).removeprefix("\n"))
            self._area = None

    def handle_data(self, data: str) -> None:
        if self._area:
            self._area[1].append(data)
        if not self._unseen:
            self.texts.append(data)
