"""Runs as HTML. A page has twenty with their messages, which by templates was half of what it cost."""

from django.utils.safestring import SafeString

from memory.pages.cards import Block, CallCard, Card, MessageCard
from memory.transcript.model import Media, Run
from studio.render import Html
from studio.templatetags.studio import ago, compact, count, duration, icon, size, when

_KINDS = {"image": "image", "audio": "audio-lines", "video": "film"}
_TONES = {"ok": " ok", "error": " bad", "none": ""}
_SUMMARY = {"system": "System message", "unknown": "Message without a role"}


def runs(cards: list[Card], *, focus: bool) -> SafeString:
    """Write the runs of a page; `focus` puts a reader who asked for more at the first of them."""
    html = Html()
    for number, card in enumerate(cards):
        _run(html, card, focus=focus and number == 0)
    return html.done()


def _run(html: Html, card: Card, *, focus: bool = False) -> None:
    run = card.run
    html.put('<article class="run%s"', f" {card.state}" if card.state else "")
    _id(html, card.anchor)
    html.put(' tabindex="-1" autofocus><header>' if focus else "><header>")
    _head(html, card)
    html.put("</header>\n")
    if run.problem:
        html.put('<p class="error">This run cannot be shown. %s It holds %s.</p>', run.problem, size(run.size))
    if run.is_sub_run and card.elsewhere:
        html.put('<p class="muted small">Part of <a href="%s">another run</a> of this thread.</p>', card.elsewhere)
    _messages(html, card.messages)
    _left_out(html, run)
    _steps(html, card)
    for inside in card.cards:
        _run(html, inside)
    _messages(html, card.answer)
    _media(html, run.media)
    if card.too_large:
        html.put('<p class="note too-large">This run holds %s of JSON, too much for a page. ', size(run.size))
        html.put('<a href="%s">Download JSON</a></p>', card.json_href)
    if card.state == "failed":
        _failed(html, card)
    elif card.note or card.left_out:
        _stopped(html, card)
    html.put("</article>\n")


def _head(html: Html, card: Card) -> None:
    run = card.run
    if run.is_sub_run:
        html.put('<span class="badge">sub-run</span><h3><bdi>%s</bdi></h3>', run.name or "unnamed")
    else:
        if run.kind != "agent":
            html.put('<span class="badge">%s</span><b><bdi>%s</bdi></b>', run.kind, run.name or "unnamed")
        if card.speaker:
            html.put('<h3><span class="speaker" aria-hidden="true">%s</span>', card.speaker[:1].upper())
            html.put("<bdi>%s</bdi></h3>", _short(card.speaker, 80))
        else:
            html.put('<h3><span class="muted">no user</span></h3>')
    if run.created_at is not None:
        html.put('\n<span class="times">')
        html.add(ago(run.created_at))
        html.put(" · ")
        if card.href:
            html.put('<a href="%s">', card.href)
        html.add(when(run.created_at))
        html.put("</a></span>" if card.href else "</span>")
    if card.words:
        html.put('\n<span class="badge%s">%s</span>', f" {card.tone}" if card.tone else "", card.words)
    _numbers(html, card)
    if card.json_href:
        html.put('\n<a class="json-link" href="%s">View JSON</a>', card.json_href)


def _numbers(html: Html, card: Card) -> None:
    run = card.run
    html.put('\n<span class="numbers">')
    if run.model:
        html.put("<span><bdi>%s</bdi></span>", _short(run.model, 60))
    if run.input_tokens is not None:
        html.put("<span>%s in", compact(run.input_tokens))
        if run.cached_tokens:
            html.put(" (%s cached)", compact(run.cached_tokens))
        html.put("</span>")
    if run.output_tokens is not None:
        html.put("<span>%s out", compact(run.output_tokens))
        if run.reasoning_tokens:
            html.put(" (%s reasoning)", compact(run.reasoning_tokens))
        html.put("</span>")
    if run.seconds is not None:
        html.put("<span>%s</span>", duration(run.seconds))
    if run.first_token_seconds is not None:
        html.put("<span>first token %s</span>", duration(run.first_token_seconds))
    if card.sent:
        html.put('<span class="sent">')
        html.add(icon("history", 13))
        html.put(" sent to the model at the next turn</span>")
    html.put("</span>")


def _left_out(html: Html, run: Run) -> None:
    """Say what of a run is not on the page."""
    if run.hidden:
        many = run.hidden != 1
        html.put('<p class="muted small">%s message%s copied from', count(run.hidden), "s" if many else "")
        html.put(" earlier turns %s not repeated here.</p>", "are" if many else "is")
    if run.unread:
        html.put('<p class="note">This run holds %s more messages and calls than a page shows.', count(run.unread))
        html.put(" They are in its JSON.</p>")


def _steps(html: Html, card: Card) -> None:
    if not card.steps:
        return
    html.put('<ol class="steps">')
    for step, block in card.steps:
        html.put('<li><details class="tool"><summary><b><bdi>%s</bdi></b>', step.name or "step")
        html.put('<span class="grow muted"><bdi>%s</bdi></span>', step.executor)
        html.put('<span class="badge bad">failed</span>' if step.failed else '<span class="badge ok">ok</span>')
        html.put("</summary><div>")
        _text(html, block)
        html.put("</div></details></li>")
    html.put("</ol>")


def _failed(html: Html, card: Card) -> None:
    html.put('<div class="error"><p><b>The run failed</b>')
    html.put(".</p>" if card.note else ", and nothing says why.</p>")
    if card.note:
        _text(html, card.note)
    html.put("<p>It is not sent to the model as history.</p></div>" if card.left_out else "</div>")


def _stopped(html: Html, card: Card) -> None:
    html.put('<div class="stopped">')
    for name, what in card.waits:
        html.put("<p>Waits for %s (<bdi>%s</bdi>).</p>", what, name or "a tool")
    if card.note:
        _text(html, card.note)
    if card.left_out:
        html.put("<p>%s runs are not sent to the model as history.</p>", card.words)
    html.put("</div>")


def _messages(html: Html, messages: list[MessageCard]) -> None:
    for one in messages:
        if one.reasoning:
            html.put('<details class="tool quiet"><summary><b>Reasoning</b>')
            html.put('<span class="muted">%s</span></summary><div>', size(one.reasoning.size))
            _text(html, one.reasoning)
            html.put("</div></details>\n")
        if one.block.content or one.message.media:
            _message(html, one)
        elif one.anchor:
            html.put('<span id="%s"></span>', one.anchor)
        for card in one.calls:
            _call(html, card)


def _message(html: Html, one: MessageCard) -> None:
    role = one.message.role
    if summary := _SUMMARY.get(role):
        html.put('<details class="tool quiet"')
        _id(html, one.anchor)
        html.put('><summary><b>%s</b><span class="muted">%s</span></summary><div>', summary, size(one.block.size))
    else:
        html.put('<div class="msg %s"', "user" if role == "user" else "assistant")
        _id(html, one.anchor)
        html.put('><span class="unseen">%s:</span>', role)
    _text(html, one.block)
    _media(html, one.message.media)
    html.put("</div></details>\n" if summary else "</div>\n")


def _call(html: Html, card: CallCard) -> None:
    call = card.call
    html.put('<details class="tool"><summary><b><bdi>%s</bdi></b>', call.name or "unnamed tool")
    html.put('<span class="grow muted preview">%s</span>', card.preview)
    words = "no result" if call.status == "none" else call.status
    html.put('<span class="badge%s">%s</span>', _TONES.get(call.status, " warn"), words)
    facts = ([] if call.seconds is None else [duration(call.seconds)]) + ([size(call.size)] if call.result else [])
    html.put('<span class="muted">%s</span></summary>\n<div><h4>Arguments</h4>', " · ".join(facts))
    if card.args:
        _text(html, card.args)
    else:
        html.put('<p class="muted small">None.</p>')
    html.put("\n<h4>Result</h4>")
    if card.result:
        _text(html, card.result)
    elif call.wants:
        html.put('<p class="muted small">The run waits for %s.</p>', call.wants)
    elif call.status == "refused":
        html.put('<p class="muted small">The call was refused.</p>')
    else:
        html.put('<p class="muted small">%s</p>', "Empty." if call.result else "None is stored.")
    _media(html, call.media)
    html.put("</div></details>\n")


def _text(html: Html, block: Block) -> None:
    html.put('<div class="text"><div class="%s" dir="auto" hx-disable>', block.style)
    html.add(block.content)
    html.put("</div>")
    if block.href:
        cut = f"Cut, {size(block.size)} in all. " if block.cut else ""
        html.put('<p class="cut small">%s<a href="%s" hx-get="%s"', cut, block.href, block.part)
        html.put(' hx-target="closest .text" hx-swap="outerHTML">%s</a>', "Show all" if block.cut else "Lay out")
        html.put(' · <a href="%s&amp;download=1">Download</a></p>', block.href)
    html.put("</div>")


def _media(html: Html, media: list[Media]) -> None:
    if not media:
        return
    html.put('<ul class="media">')
    for one in media:
        html.put("<li>")
        html.add(icon(_KINDS.get(one.kind, "file"), 14))
        html.put(" %s", one.mime or one.kind)
        if one.name:
            html.put(" · <bdi>%s</bdi>", _short(one.name, 80))
        if one.size is not None:
            html.put(" · %s", size(one.size))
        if one.source:
            html.put(' · <span class="muted">%s</span>', _short(one.source, 100))
        html.put("</li>")
    html.put("</ul>")


def _id(html: Html, anchor: str) -> None:
    if anchor:
        html.put(' id="%s"', anchor)


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
