"""The cause of a loss in words."""

from __future__ import annotations

from collections.abc import Sequence

from shared.events.alert import LossCause, LossParts

_WORDS = {
    LossCause.COVARIATE: "the model is as good as before at each {by}; the mix of {by}s moved",
    LossCause.CONCEPT: "the model errs more than before at the same {by}s",
    LossCause.MIXED: "the mix of {by}s moved, and the model errs more than before at the same {by}s",
    LossCause.UNKNOWN: "too few labels tell why",
}


def why(parts: Sequence[LossParts]) -> str:
    """Return what a loss comes from; the last parts are those of the segments that make it up, where some do."""
    if len(parts) > 1:
        return f"the model is as good as before in each segment of {parts[-1].by}; their shares of the traffic moved"
    return _WORDS[parts[0].verdict].format(by=parts[0].by)
