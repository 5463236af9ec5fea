"""From one release to the next: who is behind stops, who is ahead goes on, and nothing is lost or said twice."""

from __future__ import annotations

import pytest

from services.cli.verify.report import Check, Outcome, Report
from services.cli.verify.run import verify
from shared.errors import Newer
from shared.events.block import FOLD
from tests.kit.next_release import NEXT, next_release
from tests.kit.pipeline import Pipeline, monitored
from tests.kit.verifying import Left, written

ROWS = 1_200


def counted(report: Report, check: Check, what: str) -> int:
    return sum(proof.counts.get(what, 0) for proof in report.proofs if proof.check is check)


def test_the_next_release_goes_on_where_the_one_before_stopped() -> None:
    pipeline = written(Pipeline(monitored(loan={})), ROWS)
    with next_release():
        pipeline.kill("joiner", "detector")
        left = Left.of(written(pipeline, ROWS, first=ROWS))
        report = verify(left.installation())

    assert report.outcome is Outcome.CLEAN
    assert counted(report, Check.JOINS, "joined") == 2 * ROWS
    assert counted(report, Check.OBSERVATIONS, "outputs of other folds") > 0
    assert f"outputs of fold {FOLD}: this release folds by {NEXT}" in {
        why for proof in report.proofs for why in proof.not_covered
    }


def test_who_is_behind_stops_before_it_folds_what_it_does_not_know() -> None:
    pipeline = written(Pipeline(monitored(loan={})), ROWS)
    left = Left.of(pipeline)
    with next_release():
        written(pipeline, ROWS, first=ROWS)  # the processes are the old ones, and all that they write is of the next

    for service in ("joiner", "detector"):
        pipeline.kill(service)
        with pytest.raises(Newer):
            pipeline.run(service)
    with pytest.raises(Newer):
        verify(Left.of(pipeline).installation())
    assert verify(left.installation()).outcome is Outcome.CLEAN
