"""What a detector of a series of all traffic found, as incidents name it."""

from __future__ import annotations

from collections.abc import Sequence

from services.detector.baseline import ALL
from shared.events.alert import Bin, Culprit


def since_onset(
    feature: str,
    detector: str,
    statistic: str,
    *,
    value: float,
    threshold: float,
    rows: int,
    onset: int,
    row: int,
    noise_floor: float = 0.0,
    bins: Sequence[Bin] = (),
) -> Culprit:
    """Return a series as it is since an onset.

    value: of the statistic over its last `rows` values, with its standard error `noise_floor`; onset, row: the served
    rows between which they lie.
    """
    return Culprit(
        feature=feature,
        segment=ALL,
        detector=detector,
        statistic=statistic,
        value=value,
        noise_floor=noise_floor,
        threshold=threshold,
        p_value=None,
        window_rows=rows,
        window_start_row=onset,
        window_end_row=row,
        onset_row=onset,
        bins=list(bins),
    )
