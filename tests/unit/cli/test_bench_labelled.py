"""The benchmark of metrics counts every label where it belongs, and its open cohorts are as full as can be."""

from __future__ import annotations

from itertools import chain

import pytest

from services.cli.adapters.bench.folds import Folds
from services.cli.bench import loans
from services.cli.bench.labelled import SPEC, LabelledLog, LabelledWork, OpenCohorts
from shared.events.block import decode
from shared.settings import Settings

PAIRS = 1_500


@pytest.fixture(scope="module")
def folds() -> Folds:
    return Folds(Settings(id_key="bench"), loans.publication(SPEC, loans.reference(6_000)))


def test_every_label_is_counted_in_all_traffic_and_in_a_segment_of_each_dimension(folds: Folds) -> None:
    observations, _ = folds.join(folds.halves(PAIRS, 500))
    log = LabelledLog.of([decode(record) for record in observations])
    work = LabelledWork(folds.baseline, log)
    cohorts = work.cohorts()

    work.count(cohorts)

    counted = [int(book.counts.sum()) for book in cohorts.state.cells]
    assert (log.rows, counted[0], sum(counted)) == (PAIRS, PAIRS, 4 * PAIRS)
    finals = work.finals(cohorts)
    assert all(row.state == "final" and row.coverage == 1.0 for row in finals)
    assert len(finals) == sum(book.rows // book.size for book in cohorts.state.cells) > 3


def test_monitors_of_errors_hear_all_labels_of_a_model_as_good_as_its_reference(folds: Folds) -> None:
    observations, _ = folds.join(folds.halves(PAIRS, 500))
    work = LabelledWork(folds.baseline, LabelledLog.of([decode(record) for record in observations]))

    assert sum(len(signals.flags) for signals in work.signals()) == PAIRS
    assert work.monitors() == 0


def test_open_cohorts_tell_all_their_scores_apart(folds: Folds) -> None:
    some = OpenCohorts(folds.baseline, cells=3, of_each=2)

    cohorts = some.build()

    used = chain.from_iterable(book.scores.packed().used.ravel().tolist() for book in cohorts.state.cells)
    assert sorted(used, reverse=True)[: some.count] == [500] * some.count
    assert some.state_bytes(cohorts) > some.count * 500 * 8
