"""What a person waits for in Chromium on a processor four times slower: from page to page, and back."""

import shutil
from typing import Final

from tests.bench import felt
from tests.bench.report import Part, Section, ms
from tests.bench.stage import Stage
from tests.bench.targets import Target, Verdict, below

TOPIC: Final = "What a person feels"
TITLE: Final = "In the browser, in milliseconds"


def measure(stage: Stage) -> Part:
    """Go from page to page in a browser; a part that says why where there is none."""
    if not shutil.which("chromium"):
        return Part([], [Section(TITLE, [], [], "Chromium is not installed, so nothing was measured.")])
    found = feel(stage.browser.base, stage.server.sign_in_link(), stage.path(stage.layouts[0], "threads/"))
    return Part(verdicts(found), [section(found)])


def feel(base: str, sign_in: str, threads: str) -> dict[str, float]:
    """Milliseconds by what was done, in a browser that signs in by a link; empty without a browser."""
    return felt.measure(base, sign_in, threads) if shutil.which("chromium") else {}


def verdicts(found: dict[str, float]) -> list[Verdict]:
    """Going back has a bound of its own; what is typed waits on purpose and has none."""
    pairs = [(name, value, _target(name)) for name, value in found.items()]
    return [Verdict(f"Felt: {name}", value, target) for name, value, target in pairs if target]


def section(found: dict[str, float]) -> Section:
    rows = [[name, ms(value)] for name, value in found.items()]
    words = "Chromium on a processor that it makes four times slower: from a click until the next page is painted."
    return Section(TITLE, ["what", "ms"], rows, words)


def _target(name: str) -> Target | None:
    if name.startswith("back"):
        return below(TOPIC, "", 200, " ms")
    return None if "typed" in name or "→" not in name else below(TOPIC, "", 300, " ms")
