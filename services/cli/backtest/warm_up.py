"""A model that warms up, in a backtest: its first recorded traffic is its reference.

As from the log of a running installation, with the labels that had come by then. The backtest itself begins with the
first row all the same, so that rows are those of the files; what it compares with themselves there, it finds steady.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

import msgspec
import numpy as np

from services.cli.backtest.lines import Line
from services.cli.backtest.run import run
from services.cli.log_baseline import Built, built_of
from services.cli.publication import Publication
from services.cli.warm_up import WarmUp
from services.detector.baseline_build import Progress
from services.detector.log_reference import LogReference
from shared.errors import ConfigurationError
from shared.monitors import ModelSpec
from shared.unreadable import UNREADABLE


class _Named(msgspec.Struct, frozen=True):
    model: str


def learned(model: str, spec: ModelSpec, lines: Sequence[Line], *, id_key: str, tell: Progress) -> Built:
    """Return the baseline of a model's first traffic; `lines` are in order.

    Raises:
        ConfigurationError: the lines end before the warm-up does, or the configuration asks for what they do not have.
    """
    first = Publication.warming_up(model, spec)
    found = WarmUp(first.definition, spec.warm_up_ms or 0)
    found.serve(_times(model, lines))
    wanted = found.range
    if wanted is None or wanted.until_ms is None:
        raise ConfigurationError(f"models.{model}.warm_up", f"the events end before that: {found}")
    before = lines[: bisect_left(lines, wanted.until_ms, key=lambda line: line.ts_ms)]
    outcome = run([first], before, id_key=id_key, code_version="", report_rows=None, progress=lambda _: None)
    rows = LogReference(model, spec, first.definition.schema, wanted)
    for record in outcome.observations:
        rows.take(record)
    if not rows.rows:
        raise ConfigurationError(f"models.{model}.warm_up", "none of its predictions can be read; see docs/events.md")
    return built_of(rows, model, spec, first.definition, tell)


def _times(model: str, lines: Sequence[Line]) -> np.ndarray:
    """Return the times of a model's predictions."""
    decode = msgspec.json.Decoder(_Named).decode
    times = []
    for line in lines:
        try:
            if not line.is_label and decode(line.value).model == model:
                times.append(line.ts_ms)
        except UNREADABLE:
            continue  # dead-lettered by the consumer
    return np.array(times, np.int64)
