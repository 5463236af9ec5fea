"""What a benchmark's runs become: medians, promises, JSON and lines."""

from __future__ import annotations

import msgspec
import pytest

from services.cli.bench.figure import NAMES, Figure
from services.cli.bench.report import Environment, Report, Result, lines, number, report, results

HERE = Environment(
    machine="Linux x86_64", cpus=2, python="3.11.7", libraries={"numpy": "2.4"}, servers={"Kafka": "4.1.1"}
)


def figure(floor: float | None = None, limit: float | None = None) -> Figure:
    return Figure(name="consumer.ratio", unit="ratio", what="speed", floor=floor, limit=limit)


def test_the_median_of_all_runs_counts() -> None:
    (result,) = results([figure()], [{"consumer.ratio": run} for run in (0.5, 0.1, 0.4, 0.9, 0.3)])

    assert (result.value, result.min, result.max) == (0.4, 0.1, 0.9)
    assert result.runs == [0.5, 0.1, 0.4, 0.9, 0.3]


def test_every_figure_of_a_benchmark_has_its_own_runs() -> None:
    other = Figure(name="consumer.bare", unit="events/s", what="speed")

    found = list(results([figure(), other], [{"consumer.bare": 7.0, "consumer.ratio": 0.5}]))

    assert [(result.name, result.value) for result in found] == [("consumer.ratio", 0.5), ("consumer.bare", 7.0)]


@pytest.mark.parametrize(
    ("floor", "limit", "value", "holds"),
    [
        (None, None, -1.0, True),
        (0.4, None, 0.4, True),
        (0.4, None, 0.39, False),
        (None, 160.0, 160.0, True),
        (None, 160.0, 160.1, False),
    ],
)
def test_a_floor_and_a_limit_hold_up_to_themselves(
    floor: float | None, limit: float | None, value: float, holds: bool
) -> None:
    assert Result.of(figure(floor, limit), [value]).holds is holds


def test_one_run_below_the_floor_does_not_break_it() -> None:
    assert Result.of(figure(0.4), [0.5, 0.3, 0.45]).holds


def test_a_report_is_ok_only_if_every_promise_holds() -> None:
    good, bad = Result.of(figure(0.4), [0.5]), Result.of(figure(0.4), [0.3])

    assert report(HERE, 100, [good]).ok
    assert not report(HERE, 100, [good, bad]).ok


def test_the_json_of_a_report_reads_back() -> None:
    found = report(HERE, 100_000, [Result.of(figure(0.4), [0.5, 0.6])])

    assert msgspec.json.decode(msgspec.json.encode(found), type=Report) == found


def test_the_lines_name_what_was_promised_and_what_does_not_hold() -> None:
    found = report(HERE, 100_000, [Result.of(figure(0.4), [0.5]), Result.of(figure(limit=160), [170])])

    machine, heading, good, bad = lines(found)

    assert machine == "Linux x86_64, 2 CPUs, Python 3.11.7, Kafka 4.1.1; 100,000 events"
    assert heading.split() == ["figure", "median", "min", "max", "unit", "promised"]
    assert good.split() == ["consumer.ratio", "0.5", "0.5", "0.5", "ratio", "at", "least", "0.4"]
    assert bad.endswith("at most 160: DOES NOT HOLD")


def test_numbers_are_told_with_three_digits_or_more() -> None:
    assert [number(value) for value in (0.41234, 5.0, 173.2, 216_499.7)] == ["0.412", "5", "173", "216,500"]


def test_the_names_are_those_of_the_modules() -> None:
    assert len(set(NAMES)) == len(NAMES)
