"""A model version without a baseline: it is counted, named as not armed, and left when a baseline comes."""

from __future__ import annotations

import msgspec
import pytest

from services.cli.publication import Publication
from services.detector.partition import PartitionFold
from services.detector.stream_time import WIDTH
from services.detector.warming import WARMING_UP, WarmingWatch
from shared.errors import Corrupt
from shared.events.block import Block, BlockKind
from shared.values import format_ts
from tests.kit.references import HOUR_MS
from tests.kit.traffic import (
    MODEL,
    START_MS,
    WARMING,
    Log,
    fold_of,
    folded,
    heartbeats,
    incidents,
    published_as,
    rows,
    watch_of,
)

FIRST = Publication.warming_up(MODEL, WARMING)
COLUMNS = [*WARMING.features, "prediction", "score"]
WEEK = 7 * 24  # rows


def log_of(count: int, **drift: int) -> Log:
    return Log(rows(count, **drift), FIRST)


def version_of(fold: PartitionFold) -> WarmingWatch:
    watch = fold.watches[MODEL, "v1"]
    assert isinstance(watch, WarmingWatch)
    return watch


def test_a_heartbeat_says_of_every_column_that_it_warms_up() -> None:
    log = log_of(500)
    log.serve(0, 100)
    log.label(0, 40)
    log.tick()
    log.tick()

    (*_, last) = heartbeats(folded(fold_of(FIRST), log.records))

    assert last.not_armed == dict.fromkeys(COLUMNS, WARMING_UP)
    assert (last.armed_all_traffic, last.armed_segments) == (0.0, 0.0)
    assert (last.rows_served, last.rows_labelled, last.configuration_version) == (100, 40, 1)
    assert last.stream_time == format_ts(START_MS + 49 * HOUR_MS)


@pytest.mark.parametrize(
    ("served", "why"),
    [
        (WEEK + WIDTH - 1, WARMING_UP),
        (WEEK + WIDTH, f"{WARMING_UP}: 7d have passed, and no baseline is published yet"),
    ],
    ids=["not yet", "over"],
)
def test_a_warm_up_that_is_over_asks_for_its_baseline(served: int, why: str) -> None:
    log = log_of(served)
    log.serve(0, served, cut=77)
    fold = fold_of(FIRST)

    folded(fold, log.records)

    assert version_of(fold).not_armed == dict.fromkeys(COLUMNS, why)


def test_nothing_is_told_however_the_traffic_changes() -> None:
    log = log_of(4_000, drift_at=2_000)
    log.serve(0, 4_000)

    assert incidents(folded(fold_of(FIRST), log.records)) == []


def test_the_state_does_not_depend_on_how_rows_were_cut_into_blocks() -> None:
    states = set()
    for cut in (13, 2_000):
        log, fold = log_of(500), fold_of(FIRST)
        log.serve(0, 500, cut=cut)
        folded(fold, log.records)
        states.add(version_of(fold).snapshot())

    assert len(states) == 1


def test_it_goes_on_from_its_checkpoint() -> None:
    log = log_of(500)
    log.serve(0, 300)
    log.serve(300, 500)
    whole, first, second = fold_of(FIRST), fold_of(FIRST), fold_of(FIRST)
    folded(whole, log.records)

    folded(first, log.records[:1])
    second.restore(first.snapshot())
    folded(second, log.records[1:])

    assert second.snapshot() == whole.snapshot()


def test_the_baseline_takes_over_at_one_place_of_the_log() -> None:
    learned = published_as(WARMING)
    log = log_of(6_000, drift_at=3_000)
    log.serve(0, 2_000)
    log.stamped, log.version = learned, 2
    log.serve(2_000, 6_000)
    fold = fold_of(FIRST, learned)

    told = folded(fold, log.records)

    assert {data.configuration_version for _, data in incidents(told)} == {2}
    assert watch_of(fold).rows_served == 4_000


def test_another_configuration_without_a_baseline_changes_nothing() -> None:
    longer = Publication.warming_up(MODEL, msgspec.structs.replace(WARMING, warm_up="30d"))
    log = log_of(500)
    log.serve(0, 200)
    log.stamped, log.version = longer, 2
    log.serve(200, 500)
    fold = fold_of(FIRST, longer)

    folded(fold, log.records)

    watch = version_of(fold)
    assert (watch.rows_served, watch.configuration_version, watch.configuration_hash) == (
        500,
        2,
        longer.definition.hash,
    )
    assert set(watch.not_armed.values()) == {WARMING_UP}


def test_a_return_to_the_warm_up_takes_back_what_was_open() -> None:
    learned = published_as(WARMING)
    log = Log(rows(6_000, drift_at=2_000), learned)
    log.serve(0, 5_000)
    log.stamped, log.version = FIRST, 2
    log.serve(5_000, 6_000)

    told = incidents(folded(fold_of(FIRST, learned), log.records))

    assert [event.name for event, _ in told][-1] == "RETRACTED"


def test_metrics_show_that_nothing_may_page() -> None:
    log, fold = log_of(200), fold_of(FIRST)
    log.serve(0, 200)
    folded(fold, log.records)

    figures = version_of(fold).figures()

    assert (figures.rows_served, figures.columns_not_armed, figures.armed_all_traffic) == (200, len(COLUMNS), 0.0)
    assert version_of(fold).cohort_rows(START_MS) == []


def test_a_block_without_rows_is_refused() -> None:
    with pytest.raises(Corrupt, match="has no rows"):
        WarmingWatch(FIRST.definition, "v1", 1).fold(Block(BlockKind.SERVED, MODEL, "v1"), 0, {})
