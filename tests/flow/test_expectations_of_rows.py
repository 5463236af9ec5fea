"""What a configuration expects of every row: relations of numbers and times, and patterns."""

from __future__ import annotations

from functools import cache

import msgspec
import numpy as np
import pyarrow as pa
import pytest

from shared.errors import ConfigurationError
from shared.events.alert import IncidentKind
from shared.monitors import FeatureSpec
from shared.quality import QualitySpec
from tests.kit.data_quality import STREAM
from tests.truth.streams import (
    Law,
    Rows,
    Stream,
    category,
    levels,
)
from tests.truth.watching import Prepared, spec_of


def days(first: int) -> Law:
    """Return days of January 2026, from one on."""

    def texts(rng: np.random.Generator, rows: Rows) -> pa.Array:
        names = tuple(f"2026-01-{day:02d}" for day in range(1, 32))
        return levels(first - 1 + rng.integers(0, 10, rows.count), names)

    return texts


OF_TEXTS = Stream({"start": days(1), "until": days(11), "sku": category(np.array([0.5, 0.5]))}, {}, per_day=10_000)


@cache
def prepared_texts() -> Prepared:
    features = {
        "start": FeatureSpec(format="iso-date"),
        "until": FeatureSpec(format="iso-date"),
        "sku": FeatureSpec(pattern="level-[0-9]{2}"),
    }
    quality = QualitySpec(expect=["start <= until", "start < 2026-01-21"])
    spec = msgspec.structs.replace(spec_of(OF_TEXTS), features=features, quality=quality)
    return Prepared(spec, OF_TEXTS.reference(1, 6_000))


@pytest.mark.parametrize(
    ("columns", "feature", "statistic"),
    [
        ({"until": days(1)}, "start <= until", "broken_rate"),
        ({"start": days(20)}, "start < 2026-01-21", "broken_rate"),
        ({"sku": lambda _, rows: levels(rows.numbers % 2, ("level-00", "level-1"))}, "sku", "format_error_rate"),
    ],
)
def test_times_and_texts_that_are_not_as_expected_are_told_of(
    columns: dict[str, Law], feature: str, statistic: str
) -> None:
    watched, rng = prepared_texts().watch(), np.random.default_rng(2)
    watched.feed(OF_TEXTS, rng, 1_000)
    assert watched.latest == {}
    watched.feed(OF_TEXTS.but(columns), rng, 1_000)

    told = [data for data in watched.latest.values() if data.kind is IncidentKind.DATA_QUALITY]
    assert (feature, statistic) in {(c.feature, c.statistic) for data in told for c in data.culprits}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("start <= sku", "'sku' is no column of times"),
        ("start <= 3", "compares a number with a time"),
        (
            "sku <= 2026-01-01",
            "'sku' is no column of numbers; a text is a time where its format is iso-date or iso-time",
        ),
    ],
)
def test_times_are_compared_with_times_alone(text: str, why: str) -> None:
    features = {"start": FeatureSpec(format="iso-date")}
    spec = msgspec.structs.replace(spec_of(OF_TEXTS), features=features, quality=QualitySpec(expect=[text]))

    with pytest.raises(ConfigurationError, match=rf"quality\.expect\.0.*{why}"):
        Prepared(spec, OF_TEXTS.reference(1, 1_000))


def test_an_expectation_of_no_column_of_numbers_is_refused_by_its_path() -> None:
    spec = msgspec.structs.replace(spec_of(STREAM), quality=QualitySpec(expect=["age >= 0", "colour > 1"]))

    with pytest.raises(ConfigurationError, match=r"quality\.expect\.1.*'colour' is no column of numbers"):
        Prepared(spec, STREAM.reference(1, 1_000))
