"""Ask every contender for every page, in turns, and judge the ratios, round trips and sizes."""

from collections.abc import Callable
from typing import Final

from tqdm import tqdm

from tests.bench.cases import Case
from tests.bench.measure import Browser, Taken, Way, in_turns, query_on
from tests.bench.report import PageResult
from tests.bench.stage import Stage
from tests.bench.targets import Verdict, below

LISTS: Final = ("newest", "giant", "user", "middle", "filter", "users", "users-most")
TRANSCRIPTS: Final = ("giant-table", "giant-column", "small")


def compare(stage: Stage, cases: list[Case], rounds: int) -> list[PageResult]:
    """Measure each page at each contender that has it."""
    results = []
    bar = tqdm(cases, desc="pages", unit=" pages", disable=None)
    for case in bar:
        bar.set_postfix_str(case.title[:40])
        results.append(_compare(stage, case, rounds))
    judge(results, cases, list(stage.peers))
    return results


def judge(results: list[PageResult], cases: list[Case], versions: list[str]) -> None:
    """Compare each page with its targets."""
    found = {result.key: result for result in results}
    for case in cases:
        ours = found[case.key].ms["ours"]
        for target in case.targets:
            for version in versions if target.against == "peer" else [target.against]:
                other = found[version].ms["ours"] if version in found else found[case.key].ms.get(version)
                if other is None:
                    continue
                value = other / ours if target.kind == "at least" else ours / other
                found[case.key].verdicts.append(Verdict(_what(case, version, found), value, target))


def verdicts(results: list[PageResult], whole: int) -> list[Verdict]:
    """Every page's ratios, then round trips and bytes; `whole` are the bytes of the list's HTML."""
    found = {result.key: result for result in results}
    return [
        *(verdict for result in results for verdict in result.verdicts),
        *(
            Verdict(f"Round trips of a {kind}", max(found[key].trips or 0 for key in keys if key in found), target)
            for kind, keys, target in (
                ("list", LISTS, below("Round trips", "", 3, "")),
                ("transcript", TRANSCRIPTS, below("Round trips", "", 6, "")),
            )
            if any(key in found for key in keys)
        ),
        Verdict("The newest 50 as HTML", whole / 1000, below("Size of a list", "", 80, " KB")),
        Verdict("The newest 50 as sent", found["newest"].size / 1000, below("Size of a list", "", 14, " KB")),
    ]


def _compare(stage: Stage, case: Case, rounds: int) -> PageResult:
    page = page_of(stage.browser, stage.path(case.layout, case.ours), first_byte=case.first_byte)
    query = query_on(stage.dsn, stage.schema(case.layout))
    ways: dict[str, Way] = {"ours": page}
    raw = case.ask_raw(query)
    if raw:
        ways["raw"] = raw
    for version, path in case.peer.items():
        if version not in stage.peers:
            continue
        ways[version] = page_of(stage.peers[version], path)
    with query.connection:
        taken = in_turns(ways, rounds)
    size = stage.browser.get(stage.path(case.layout, case.ours)).size
    return PageResult(case.key, case.title, _medians(taken), {name: one.spread for name, one in taken.items()}, size)


def page_of(browser: Browser, path: str, *, first_byte: bool = False) -> Callable[[], float]:
    """Return a function that asks for a page and times all of it, or its first byte."""

    def ask() -> float:
        answer = browser.get(path)
        return answer.first_ms if first_byte else answer.all_ms

    return ask


def _medians(taken: dict[str, Taken]) -> dict[str, float]:
    return {name: one.median for name, one in taken.items()}


def _what(case: Case, version: str, found: dict[str, PageResult]) -> str:
    if version in found:
        return f"{case.title}: against “{found[version].title}”"
    return f"{case.title}: " + ("against raw" if version == "raw" else f"AgentOS {version} against it")
