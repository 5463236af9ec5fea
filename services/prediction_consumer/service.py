"""What events tell of the model's own service: how long it took, and whether it failed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from shared.events.block import FAILED, LATENCY_MS
from shared.ingest.columns import Columns
from shared.ingest.rows import Floats, Rows, numbers_of


def service_of(latencies: Sequence[float | None], errors: Sequence[str | None]) -> Floats | None:
    """Return latencies and failures, (2, events); None where no event tells either.

    A latency that is negative or not finite is unknown, an empty error is none.
    """
    if latencies.count(None) == len(latencies) and not any(errors):
        return None
    (waited,) = numbers_of([latencies], len(latencies))
    waited[~((waited >= 0.0) & np.isfinite(waited))] = np.nan
    return np.stack([waited, np.array([bool(error) for error in errors], np.float64)])


def service_columns(parts: Sequence[Rows]) -> Columns:
    """Return the columns of a block; without those that no row has anything for."""
    if all(rows.content.service is None for rows in parts):
        return {}
    latencies, failed = np.concatenate([_of(rows) for rows in parts], axis=1)
    found: Columns = {}
    if not np.isnan(latencies).all():
        found[LATENCY_MS] = pa.array(latencies)
    if failed.any():
        found[FAILED] = pa.array(failed.astype(np.uint8))
    return found


def _of(rows: Rows) -> Floats:
    if rows.content.service is not None:
        return rows.content.service
    return np.array([[np.nan], [0.0]]).repeat(len(rows), axis=1)
