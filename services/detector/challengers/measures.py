"""What is shown of comparisons."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from services.detector.challengers.pairing import KEPT
from services.detector.challengers.segments import MAX_SEGMENTS
from services.detector.challengers.watch import ChallengerFigures
from shared.events.comparison import Verdict
from shared.measures import Labels, Measure, bounded

_LABELS: Labels = ("model", "challenger")
_SIGNS = {Verdict.BETTER: 1, Verdict.WORSE: -1, Verdict.UNDECIDED: 0}


def challenger_measures(models: Mapping[str, Sequence[ChallengerFigures]]) -> Iterator[Measure]:
    """Yield the figures of every model that has challengers."""
    found = {(model, one.challenger): one for model, of_model in models.items() for one in of_model}
    yield Measure(
        "detector_challenger_pairs_total",
        "Labelled requests that champion and challenger both answered.",
        {key: one.pairs for key, one in found.items()},
        _LABELS,
    )
    yield Measure(
        "detector_challenger_unpaired_total",
        "Labelled requests that only one of the two answered.",
        {key: one.unpaired for key, one in found.items()},
        _LABELS,
    )
    yield Measure(
        "detector_challenger_verdict",
        "1 where the challenger is better, -1 where it is worse, 0 undecided.",
        {key: _SIGNS[one.verdict] for key, one in found.items()},
        _LABELS,
    )
    yield Measure(
        "detector_challenger_evidence",
        "Logarithm of the e-value that the challenger is better, or worse.",
        {
            (*key, side): value
            for key, one in found.items()
            for side, value in zip((Verdict.BETTER, Verdict.WORSE), one.evidence, strict=True)
        },
        (*_LABELS, "side"),
    )
    yield Measure(
        "detector_challenger_evidence_needed",
        "Logarithm of the e-value that decides.",
        {key: one.needed for key, one in found.items()},
        _LABELS,
    )
    yield Measure(
        "detector_challenger_labels_needed",
        "Further pairs until a verdict, if the gap stays; none where it is within the margin.",
        {key: one.labels_needed for key, one in found.items() if one.labels_needed is not None},
        _LABELS,
    )
    yield Measure(
        "detector_challenger_segments",
        "Segments that are compared, by how the challenger does there.",
        {(*key, verdict): count for key, one in found.items() for verdict, count in one.segments.items()},
        (*_LABELS, "verdict"),
    )
    yield Measure("detector_challenger_segments_limit", "Most of them of a challenger.", {(): MAX_SEGMENTS})
    yield from bounded(
        "detector_challenger_waiting",
        "Labelled requests that wait for the answer of another version.",
        {(model,): of_model[0].waiting for model, of_model in models.items()},
        KEPT,
        ("model",),
    )
