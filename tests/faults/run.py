"""The run of one fault: inject it, wait until all is quiet, fold the logs again, and judge."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from services.cli.verify.report import Check, Report
from tests.faults.fault import Fault, Row, Verdict, judged
from tests.faults.rig import Rig
from tests.faults.servers import Servers
from tests.kit.pipeline import monitored, publications

MOST_DIFFERENCES = 5


def run(fault: Fault, servers: Servers, folder: Path, *, seed: int, records: int) -> Row:
    """Return what became of one fault; servers that it left dead are not started again."""
    missing = fault.missing()
    if missing:
        return Row(number=fault.number, fault=fault.title, verdict=Verdict.NOT_RUN, why=[missing], seed=seed)
    begun = time.monotonic()
    try:
        with _rig(fault, servers, folder, seed, records) as rig:
            fault.inject(rig)
            report = _proved(fault, rig.verify()) if fault.is_verified else None
            _conclude(fault, rig, report)
    except Exception as exc:  # noqa: BLE001 - whatever it is, the other faults are injected all the same
        seconds = round(time.monotonic() - begun, 1)
        why = [f"{type(exc).__name__}: {exc}"]
        return Row(number=fault.number, fault=fault.title, verdict=Verdict.RED, why=why, seconds=seconds, seed=seed)
    return judged(
        fault,
        rig.findings,
        verified="" if report is None else report.outcome,
        differences=[] if report is None else _differences(report),
        seconds=time.monotonic() - begun,
        seed=seed,
    )


@contextmanager
def _rig(fault: Fault, servers: Servers, folder: Path, seed: int, records: int) -> Iterator[Rig]:
    published = publications(monitored(loan=fault.model))
    rig = Rig(servers, folder, seed=seed, records=records, published=published, **fault.settings)
    try:
        yield rig
    finally:
        for link in servers.links:
            link.heal()
        rig.close()


def _proved(fault: Fault, report: Report) -> Report:
    return Report.of([proof for proof in report.proofs if proof.check not in fault.unproved])


def _conclude(fault: Fault, rig: Rig, report: Report | None) -> None:
    """Take what every fault must leave behind."""
    if fault.joins_all and rig.load is not None and report is not None:
        counted = rig.counters()
        rig.holds(f"{rig.load.requests} requests are served, once each", counted.served == rig.load.requests)
        rig.holds(f"{rig.load.labelled} of them are labelled", counted.labels_joined == rig.load.labelled)
        inputs = [proof.counts for proof in report.proofs if proof.check is Check.INPUTS]
        read = sum(counts.get("rows", 0) + counts.get("dead letters", 0) for counts in inputs)
        rig.holds(f"{rig.written} events are read", read == rig.written)
    codes = {name: code for name, code in rig.crew.stop().items() if name not in rig.crew.may_stop}
    rig.holds(f"every service ends in order: {codes}", not any(codes.values()))


def _differences(report: Report) -> list[str]:
    found = [f"{d.at}: {d.text}" for proof in report.proofs for d in proof.differences]
    undecided = [proof for proof in report.proofs if not proof.is_decided]
    found += [f"{proof.log}, {proof.check}: {'; '.join(proof.not_covered)}" for proof in undecided]
    more = len(found) - MOST_DIFFERENCES
    return [*found[:MOST_DIFFERENCES], *([f"and {more} more differences"] if more > 0 else [])]
