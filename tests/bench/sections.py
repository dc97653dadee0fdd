"""The report's sections beside the pages: writes, deletions, load, many agents."""

from tests.bench import deletes, many, report, writes
from tests.bench.load import SETTLED
from tests.bench.peers import PEERS
from tests.bench.report import Section


def tax(taxes: list[writes.Tax]) -> Section:
    head = ["Agno", "runs of the thread", "without triggers", "with", "more", "%"]
    rows = [
        [
            *(one.version, str(one.runs), report.ms(one.without), report.ms(one.with_triggers)),
            *(f"{one.extra:+.2f}", f"{one.percent:+.1f}"),
        ]
        for one in taxes
    ]
    before = (
        "One turn's write by the real library, in ms: `upsert_session` of 2.5.14, which rewrites all runs, and"
        " `upsert_run` of 3.1.10. In turns on two agents, one with the triggers off; the median of"
        f" {writes.ROUNDS} pairs, of {writes.ROUNDS_OF_LARGE} from {writes.LARGE} runs up."
    )
    return Section("The tax on an agent's write", head, rows, before)


def delete(deleted: list[deletes.Deleted]) -> Section:
    head = ["runs in the", "threads", "ours", "raw", "ours / raw", "AgentOS, each"]
    rows, versions = [], {peer.version for peer in PEERS}
    for one in deleted:
        peer = next((value for name, value in one.ms.items() if name in versions), None)
        ratio = report.times(one.ms["ours"] / one.ms["raw"])
        rows.append([one.layout, f"{one.threads:,}", *map(report.ms, (one.ms["ours"], one.ms["raw"])), ratio])
        rows[-1].append(report.ms(peer))
    before = (
        "In ms, committed. Ours locks and counts the threads, deletes them with their index rows, leaves"
        " tombstones and writes the audit event; raw is one `delete` on Agno's own tables."
        f" The median of {deletes.REPEATS}, of a single thread of 15."
    )
    return Section("Deleting", head, rows, before)


def load(rate: float, asker: str, before: float, after: float, requests: int) -> Section:
    head = ["what", "measured"]
    rows = [
        [f"requests a second, 16 clients, by {asker}", f"{rate:,.0f}"],
        [f"a worker's memory after {min(SETTLED, requests):,} mixed requests", f"{before:.1f} MB"],
        [f"… after {requests:,}", f"{after:.1f} MB ({100 * (after / before - 1):+.1f} %)"],
    ]
    return Section(
        "Under load", head, rows, "Two workers of two threads, beside Postgres and the clients on this machine."
    )


def agents(found: many.Many) -> Section:
    head = ["agents", "agents page", "settings save and its page", "start until it answers", "check of all migrations"]
    rows = [
        [f"{one.agents:,}", *map(report.ms, (one.page, one.save, one.start, one.check))]
        for one in (found.before, found.after)
    ]
    return Section(
        "Many agents, in milliseconds", head, rows, f"An agent is created in {report.ms(found.create_ms)} ms."
    )
