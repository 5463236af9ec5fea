"""Traffic without any drift: how often it pages, against what is promised."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from tests.truth.experiment import DAYS_PER_MONTH, Experiment, Measured, pages_allowed, repeated, shortened
from tests.truth.models import REFERENCE_DAYS, fifty_columns
from tests.truth.streams import Law, Rows, Stream, even, even_segments, levels, lognormal, normal, number, zipf
from tests.truth.watching import Prepared, spec_of

WEEKS, MILLION = 10, 1_000_000
MONTHS = 20
SCALE_RUNS, SCALE_ROWS = 10, 100_000
ID_RUNS, ID_ROWS = 3, 50_000


def quiet_week(seed: int, scale: float) -> int:
    """Return the pages of a week at a million rows a day; the reference was taken at a third of that rate."""
    stream = fifty_columns(zipf(20), per_day=MILLION)
    third = fifty_columns(zipf(20), per_day=MILLION / 3)
    reference = third.reference(seed, round(REFERENCE_DAYS * third.per_day))
    watched = Prepared(spec_of(stream, events_per_week=7.0 * MILLION), reference).watch()
    watched.feed(stream, np.random.default_rng([seed, 2]), round(7 * MILLION * scale))
    return len(watched.pages)


def _judge_weeks(pages: list[int], scale: float) -> Measured:
    days = 7 * len(pages) * scale
    found = sum(pages)
    return Measured({"pages": found, "days": days}, found <= pages_allowed(2.0, days))


def quiet_month(pages_per_month: float, seed: int) -> int:
    """Return the pages of a month of a small model that may page so often."""
    columns: dict[str, Law] = {f"number-{i}": normal() for i in range(5)}
    columns |= {f"four-{i}": even(4) for i in range(3)} | {f"zipf-{i}": zipf(50) for i in range(2)}
    stream = Stream(columns, {"segment": even_segments(5)}, per_day=20_000)
    reference = stream.reference(seed, 60_000)
    watched = Prepared(spec_of(stream, pages_per_month=pages_per_month), reference).watch()
    watched.feed(stream, np.random.default_rng([seed, 2]), round(DAYS_PER_MONTH * stream.per_day))
    return len(watched.pages)


def _budget(pages_per_month: int) -> Experiment:
    def judge(pages: list[int], _: float) -> Measured:
        allowed = pages_allowed(pages_per_month, DAYS_PER_MONTH * len(pages))
        return Measured({"pages_per_month": float(np.mean(pages)), "months": len(pages)}, sum(pages) <= allowed)

    return Experiment(
        f"budget-{pages_per_month}",
        f"all detectors together send at most {pages_per_month} false pages a month",
        repeated(quiet_month, MONTHS, float(pages_per_month)),
        judge,
    )


def odd_scales(seed: int) -> int:
    """Return the pages of whole cents, of amounts over nine powers of ten, and of both in other units."""

    def cents(rng: np.random.Generator, rows: Rows) -> pa.Array:
        return pa.array(np.round(rng.gamma(2.0, 15.0, rows.count) * 100))

    columns: dict[str, Law] = {
        "cents": cents,
        "amount": lognormal(8, 2),
        "tiny": lognormal(-20, 2),
        "thousandth": normal(1e-3, 5e-4),
        "large": number(lambda rng, rows: rng.normal(1e9, 1.0, rows.count)),
    }
    stream = Stream(columns, {"segment": even_segments(4)}, per_day=20_000)
    watched = Prepared(spec_of(stream), stream.reference(seed, 50_000)).watch()
    watched.feed(stream, np.random.default_rng([seed, 2]), SCALE_ROWS)
    return len(watched.pages)


def identifier(seed: int) -> tuple[int, bool]:
    """Return the pages of ids watched as a category, and whether the baseline says that they are ignored."""

    def ids(_: np.random.Generator, rows: Rows) -> pa.Array:
        return levels(np.arange(rows.count), tuple(f"id-{n}" for n in rows.numbers.tolist()))

    stream = Stream({"customer": ids, "number": normal()}, {"segment": even_segments(2)}, per_day=20_000)
    prepared = Prepared(spec_of(stream), stream.reference(seed, 44_000))
    watched = prepared.watch()
    watched.feed(stream, np.random.default_rng([seed, 2]), ID_ROWS)
    return len(watched.pages), prepared.why_not("customer").startswith("an identifier")


def _judge_none(pages: list[int], _: float) -> Measured:
    return Measured({"pages": sum(pages), "runs": len(pages)}, sum(pages) == 0)


def _judge_ids(found: list[tuple[int, bool]], _: float) -> Measured:
    pages, said = sum(count for count, _ in found), sum(is_said for _, is_said in found)
    return Measured({"pages": pages, "warned": said, "runs": len(found)}, pages == 0 and said == len(found))


EXPERIMENTS = (
    Experiment(
        "quiet-weeks",
        "ten weeks without drift, 50 features in 21 cells, a million rows a day: at most 10 pages, about 1 expected",
        shortened(quiet_week, WEEKS),
        _judge_weeks,
    ),
    _budget(2),
    _budget(20),
    _budget(200),
    Experiment(
        "odd-scales",
        "cents, lognormal(8, 2), tiny and huge numbers, 100,000 rows each run: no page",
        repeated(odd_scales, SCALE_RUNS),
        _judge_none,
    ),
    Experiment(
        "identifier",
        "ids as a category are ignored, and the baseline says so",
        repeated(identifier, ID_RUNS),
        _judge_ids,
    ),
)
