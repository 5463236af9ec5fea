"""A daily cycle that the reference does not show: thin, shuffled or untimed references, and a step in week two."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import pyarrow as pa

from shared.events.block import TS
from tests.truth.experiment import Case, Experiment, Measured
from tests.truth.shifts import mean_shift
from tests.truth.streams import DAY_MS, Law, Rows, Stream, number
from tests.truth.watching import Prepared, Watched, spec_of

AMPLITUDES = (0.35, 1.0)  # standard deviations of the noise around the cycle
PER_DAY, DAYS = 1_000_000, 14
STEP_DAYS = (8.0, 9.3, 10.6, 11.9)
STEP_PSI, WITHIN, MOST_ROWS = 0.2, 2_000, 20_000
KINDS = ("thin", "shuffled", "untimed")


def _cycling(amplitude: float, step: float = 0.0) -> Law:
    def values(rng: np.random.Generator, rows: Rows) -> np.ndarray:
        cycle = amplitude * np.sin(2 * np.pi * (rows.ts % DAY_MS) / DAY_MS)
        return (rng.normal(0.0, 1.0, rows.count) + cycle) / math.sqrt(1 + amplitude**2 / 2) + step

    return number(values)


def _stream(scale: float) -> Stream:
    columns = {f"cycle-{amplitude}-{i}": _cycling(amplitude) for amplitude in AMPLITUDES for i in range(3)}
    return Stream(columns, {}, PER_DAY * scale)


def _watched(kind: str, stream: Stream, seed: int) -> Watched:
    """Return a watch on a reference of 20,000 rows: the last ones alone, or rows of two weeks without their order."""
    spec = spec_of(stream, events_per_week=7 * stream.per_day)
    if kind == "thin":
        return Prepared(spec, replace(stream, per_day=PER_DAY).reference(seed, 20_000)).watch()
    sparse = Stream(stream.columns, stream.segments, 20_000 / DAYS)
    reference = sparse.reference(seed, 20_000)
    order = pa.array(np.random.default_rng([seed, 4]).permutation(reference.num_rows))
    reference = reference.take(order)
    return Prepared(spec, reference.drop_columns([TS]) if kind == "untimed" else reference).watch()


def quiet_fortnight(kind: str, seed: int, scale: float) -> int:
    """Return the pages of two weeks of cycles and nothing else."""
    stream = _stream(scale)
    watched = _watched(kind, stream, seed)
    watched.feed(stream, np.random.default_rng([seed, 2]), round(DAYS * stream.per_day))
    return len(watched.pages)


def steps(kind: str, seed: int, scale: float) -> list[float]:
    """Return the events from each of several steps in week two to its page; infinite: none names it, or one is open."""
    stream = _stream(scale)
    watched, rng = _watched(kind, stream, seed), np.random.default_rng([seed, 2])
    found = []
    for day in STEP_DAYS:
        watched.feed(stream, rng, round(day * stream.per_day) - watched.rows)
        found += [_step(watched, stream, amplitude, rng) for amplitude in AMPLITUDES]
    return found


def _step(watched: Watched, stream: Stream, amplitude: float, rng: np.random.Generator) -> float:
    if watched.is_open:
        return math.inf
    fork, column = watched.fork(), f"cycle-{amplitude}-0"
    stepped = stream.but({column: _cycling(amplitude, mean_shift(STEP_PSI))})
    fork.feed(stepped, rng, MOST_ROWS, cut=200, until=lambda: fork.page_of(column) is not None)
    page = fork.page_of(column)
    return math.inf if page is None else float(page.detected.row + 1 - watched.rows)


def _cases(case: Callable[..., object], kind: str) -> Callable[[float], Sequence[Case]]:
    return lambda scale: [partial(case, kind, 0, scale)]


def _judge_quiet(pages: list[int], _: float) -> Measured:
    return Measured({"pages": sum(pages)}, sum(pages) == 0)


def _judge_steps(runs: list[list[float]], _: float) -> Measured:
    found = [one for run in runs for one in run]
    in_time = sum(one <= WITHIN for one in found)
    slowest = max((one for one in found if math.isfinite(one)), default=math.inf)
    return Measured({"in_time": in_time, "steps": len(found), "slowest_found": slowest}, in_time == len(found))


EXPERIMENTS = tuple(
    experiment
    for kind in KINDS
    for experiment in (
        Experiment(
            f"season-{kind}",
            f"{kind} reference, daily cycles of .35 and 1 sd: no page in a fortnight without drift",
            _cases(quiet_fortnight, kind),
            _judge_quiet,
        ),
        Experiment(
            f"season-{kind}-step",
            f"{kind} reference, the same cycles: a step of PSI .2 in week two pages within {WITHIN:,} events",
            _cases(steps, kind),
            _judge_steps,
        ),
    )
)
