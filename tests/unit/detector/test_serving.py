"""The model's own service: latencies in a sketch, failures by a CUSUM, both against the first week."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
import numpy as np
import pyarrow as pa
import pytest

from services.detector.performance.metrics.value import Value
from services.detector.report import CohortRow
from services.detector.serving.period import HOUR_MS, ServingRow
from services.detector.serving.sketch import BINS, LARGEST_MS, LEAST_MS, counts_of, quantile_ms
from services.detector.serving.watch import FAILURES, LATENCY, Seen, ServingWatch
from services.detector.structs import FloatArray, decode_struct, encode_struct
from shared.events.alert import Action, IncidentEvent, IncidentKind, Severity
from tests.kit.traffic import Log, fold_of, folded, incidents, rows, watch_of

PER_HOUR = 200
HOURS = 240  # ten days, of which seven are learned


def test_quantiles_are_within_two_percent_of_the_true_ones() -> None:
    latencies = np.random.default_rng(1).lognormal(3.0, 1.5, 20_000)
    counts = counts_of(latencies)

    for share in (0.01, 0.5, 0.95, 0.99, 1.0):
        true = float(np.quantile(latencies, share, method="inverted_cdf"))
        assert quantile_ms(counts, share) == pytest.approx(true, rel=0.02)


def test_a_sketch_is_bounded_and_what_lies_beyond_counts_as_its_ends() -> None:
    counts = counts_of(np.array([0.0, 1e-9, 1e12, np.nan]))

    assert (len(counts), int(counts.sum())) == (BINS, 3)
    assert BINS < 600
    assert (quantile_ms(counts, 0.5), quantile_ms(counts, 1.0)) == (LEAST_MS, LARGEST_MS)
    assert quantile_ms(counts_of(np.zeros(0)), 0.5) is None


def traffic(
    error_rate: Sequence[float], slower: Sequence[float] = (1.0,), seed: int = 2
) -> tuple[FloatArray, FloatArray]:
    """Return latencies and failures of all hours; each given value holds for an equal share of the hours after 200."""
    rng = np.random.default_rng(seed)
    late = np.clip((np.arange(HOURS) - 200) // -(-(HOURS - 200) // len(error_rate)), 0, None)
    rates = np.where(np.arange(HOURS) < 200, 0.01, np.array(error_rate)[late])
    late = np.clip((np.arange(HOURS) - 200) // -(-(HOURS - 200) // len(slower)), 0, None)
    times = np.where(np.arange(HOURS) < 200, 1.0, np.array(slower)[late])
    count = HOURS * PER_HOUR
    latencies = rng.lognormal(3.0, 0.5, count) * np.repeat(times, PER_HOUR)
    return latencies, (rng.random(count) < np.repeat(rates, PER_HOUR)).astype(np.float64)


def watched(
    latencies: FloatArray, failed: FloatArray, cut: int = 2_000, *, restore: bool = False
) -> tuple[ServingWatch, list[Seen], list[ServingRow]]:
    found, seen, closed = ServingWatch("m", "1", 2.0, 1_000), list[Seen](), list[ServingRow]()
    times = np.arange(len(failed), dtype=np.int64) * (HOUR_MS // PER_HOUR)
    for start in range(0, len(failed), cut):
        here = slice(start, start + cut)
        batch = pa.RecordBatch.from_pydict({"latency_ms": latencies[here], "failed": failed[here].astype(np.uint8)})
        told = found.served(batch, times[here], start)
        seen += told[0]
        closed += told[1]
        if restore:
            state = decode_struct(encode_struct(found.snapshot()), type(found.state))
            found = ServingWatch("m", "1", 2.0, 1_000)
            found.restore(state)
    return found, seen, closed


def first_amiss(seen: Iterable[Seen]) -> dict[str, int]:
    found: dict[str, int] = {}
    for one in seen:
        if one.culprit is not None:
            found.setdefault(one.what, one.row)
    return found


def test_a_steady_service_gives_a_row_an_hour_and_nothing_is_amiss() -> None:
    _, seen, closed = watched(*traffic([0.01]))

    assert first_amiss(seen) == {}
    assert len(closed) == HOURS - 1
    assert {(row.n, row.hours, row.rows_per_hour) for row in closed} == {(PER_HOUR, 1, float(PER_HOUR))}
    assert closed[0].start == "1970-01-01T00:00:00.000Z"
    assert closed[0].latency_p50_ms == pytest.approx(np.exp(3.0), rel=0.1)


def test_failures_that_become_more_frequent_are_seen_within_two_hours_and_go_again() -> None:
    _, seen, _ = watched(*traffic([0.1, 0.01]))

    assert first_amiss(seen)[FAILURES] < 202 * PER_HOUR
    first = next(one for one in seen if one.culprit is not None)
    assert first.culprit is not None
    assert abs(first.culprit.onset_row - 200 * PER_HOUR) < 100
    assert first.words.endswith(" predictions fail, where 0.87% did in the first week")
    assert seen[-1].culprit is None
    assert LATENCY not in first_amiss(seen)


def test_latencies_that_double_for_two_hours_are_amiss_and_half_as_much_more_is_not() -> None:
    _, seen, _ = watched(*traffic([0.01], slower=[3.0, 1.0]))
    _, less, _ = watched(*traffic([0.01], slower=[1.5]))

    assert first_amiss(seen) == {LATENCY: 202 * PER_HOUR - 1}
    assert [one.row for one in seen if one.what == LATENCY and one.culprit is None][-1] > 220 * PER_HOUR
    assert first_amiss(less) == {}


@pytest.mark.parametrize("cut", [137, 200, 1_999])
def test_all_is_alike_wherever_blocks_end_and_checkpoints_lie(cut: int) -> None:
    one = watched(*traffic([0.05], slower=[2.5]))
    other = watched(*traffic([0.05], slower=[2.5]), cut=cut, restore=True)

    assert other[1:] == one[1:]
    assert encode_struct(other[0].snapshot()) == encode_struct(one[0].snapshot())


def test_rows_that_tell_nothing_of_the_service_are_not_looked_at() -> None:
    found = ServingWatch("m", "1", 2.0, 1_000)

    assert found.served(pa.RecordBatch.from_pydict({"ts": [1, 2]}), np.arange(2), 0) == ([], [])
    assert found.state.open is None


def test_cohorts_of_all_traffic_have_what_their_service_did() -> None:
    found = ServingWatch("m", "1", 2.0, 1_000)
    latencies, failed = np.full(2_500, np.nan), np.zeros(2_500)
    latencies[500:] = np.where(np.arange(2_000) % 100 < 97, 10.0, 900.0)
    failed[1_000:1_100] = 1.0
    for start in range(0, 2_500, 250):
        here = slice(start, start + 250)
        batch = pa.RecordBatch.from_pydict({"latency_ms": latencies[here], "failed": failed[here].astype(np.uint8)})
        found.served(batch, np.zeros(250, np.int64), start)
    row = CohortRow(
        model="m",
        model_version="1",
        segment="all",
        cohort_start_row=1_000,
        cohort_end_row=1_999,
        n_predicted=1_000,
        n_labelled=0,
        coverage=0.0,
        state="provisional",
        metrics={"accuracy": Value(0.9)},
    )

    told = found.state.cohorts.with_service(row).metrics

    assert {name: value.value for name, value in told.items()} == {
        "accuracy": 0.9,
        "service_error_rate": 0.1,
        "latency_p50_ms": pytest.approx(10.0, rel=0.02),
        "latency_p95_ms": pytest.approx(10.0, rel=0.02),
        "latency_p99_ms": pytest.approx(900.0, rel=0.02),
    }
    assert told["service_error_rate"].low == pytest.approx(0.083, abs=0.001)
    assert [counted.rows for counted in found.state.cohorts.known.values()] == [500, 1_000, 500]
    other = msgspec.structs.replace(row, segment="channel=web")
    assert found.state.cohorts.with_service(other) is other


def test_few_rows_make_one_period_of_several_hours() -> None:
    found = ServingWatch("m", "1", 2.0, 1_000)
    batch = pa.RecordBatch.from_pydict({"latency_ms": np.full(300, 5.0)})

    _, closed = found.served(batch, np.arange(300, dtype=np.int64) * (HOUR_MS // 10), 0)

    assert [(row.n, row.hours, row.rows_per_hour) for row in closed] == [(100, 10, 10.0), (100, 10, 10.0)]


def test_a_failing_service_is_an_incident_that_pages_nobody() -> None:
    log = Log(rows(4_000))
    for start, stop, bits in ((0, 10, 1), (10, 3_000, 0), (3_000, 3_200, 1), (3_200, 4_000, 0)):
        log.flags = {"failed": bits}
        log.serve(start, stop)
    fold = fold_of()

    told = incidents(folded(fold, log.records))
    told = [(event, data) for event, data in told if {c.feature for c in data.culprits} == {"failed"}]

    assert [event for event, _ in told] == [IncidentEvent.OPENED, IncidentEvent.RESOLVED]
    _, opened = told[0]
    assert (opened.kind, opened.severity) == (IncidentKind.WATCHDOG, Severity.INFO)
    assert opened.recommended_action is Action.FIX_PIPELINE
    assert 3_000 <= opened.onset.row <= opened.detected.row < 3_020
    assert watch_of(fold).figures().rows_failed == 210
