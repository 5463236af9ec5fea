"""What is the same for every watch of an installation."""

from __future__ import annotations

from dataclasses import dataclass

from services.detector.outputs import Outputs


@dataclass(frozen=True, slots=True)
class WatchOptions:
    """What is the same for every model of an installation."""

    outputs: Outputs
    code_version: str
    report_rows: int | None = None  # rows of report windows and cohorts; None: 1,000, and 500 in segments
    profiles: bool = True  # write window statistics to `driftline.profiles`
    exact_scores: bool = False  # areas under curves tell all scores apart, at any cost of memory
