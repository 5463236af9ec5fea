"""Traffic of a small model in which two columns and the label have a relation that may turn."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pyarrow as pa

from services.cli.publication import Publication
from services.detector.baseline import Baseline
from services.detector.baseline_build import build_baseline
from shared.monitors import AlertsSpec, ModelSpec
from tests.kit.references import loans, spec
from tests.kit.traffic import MODEL

PAIR = "amount × term"


def related(rows: int, seed: int, *, r: float = 0.6, turns_at: int | None = None, truth: float = 0.0) -> pa.Table:
    """Return rows whose `amount` and `term` are standard normal with correlation `r`, from row `turns_at` on -`r`.

    truth: how much `amount` says of the label, from that row on the opposite; the rate of errors stays.
    """
    source = np.random.default_rng(seed)
    side = np.where(np.arange(rows) < (rows if turns_at is None else turns_at), 1.0, -1.0)
    amount = source.normal(size=rows)
    term = r * side * amount + math.sqrt(1 - r * r) * source.normal(size=rows)
    label = (truth * side * amount + source.normal(size=rows) > 0).astype(np.int64)
    prediction = np.where(source.random(rows) < 0.1, 1 - label, label)
    table = loans(rows, seed)
    for name, values in {"amount": amount, "term": term, "label": label, "prediction": prediction}.items():
        table = table.set_column(table.schema.get_field_index(name), name, pa.array(values))
    return table


def pair_spec(**changes: object) -> ModelSpec:
    """Return a configuration that watches `amount` with `term`, both with the answers, and joint tables."""
    given: dict[str, object] = {
        "pairs": [("amount", "term")],
        "joint": "auto",
        "label_horizon": "30d",
        "alerts": AlertsSpec(false_pages_per_month=2.0),
    }
    return spec(**given | changes)


@cache
def pair_baseline(truth: float = 0.0) -> Baseline:
    """Return the baseline of a drift-free reference."""
    return build_baseline(MODEL, pair_spec(), related(20_000, 100, truth=truth))


@cache
def pair_publication(truth: float = 0.0) -> Publication:
    """Return what the configuration publishes."""
    return Publication.of(MODEL, pair_spec(), pair_baseline(truth))


def published_of(reference: pa.Table, **changes: object) -> Publication:
    """Return what another configuration publishes of another reference."""
    chosen = pair_spec(**changes)
    return Publication.of(MODEL, chosen, build_baseline(MODEL, chosen, reference))
