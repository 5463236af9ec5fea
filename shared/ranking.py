"""`ranking:` in `driftline.yaml`: how far down its list a model that ranks is judged."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from shared.errors import ConfigurationError
from shared.events.ranking import MAX_ITEMS

DEFAULT_CUTOFF = 10
MAX_CUTOFFS = 5

Cutoff = Annotated[int, Meta(ge=1, le=MAX_ITEMS)]


class RankingSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The lengths `k` of metrics such as `ndcg@k`. NDCG at the first of them is what alarms."""

    k: tuple[Cutoff, ...] = (DEFAULT_CUTOFF,)


def cutoffs(task: str, spec: RankingSpec | None) -> tuple[int, ...]:
    """Return the lengths of a ranking, the one that is watched first; none of another task."""
    if task != "ranking":
        return ()
    return (spec or RankingSpec()).k


def check_ranking(path: str, task: str, spec: RankingSpec | None) -> None:
    """Refuse lengths that say nothing.

    Raises:
        ConfigurationError: naming the path, of the section at `path`.
    """
    if spec is None:
        return
    if task != "ranking":
        raise ConfigurationError(path, f"a {task} task ranks nothing")
    if not 0 < len(spec.k) <= MAX_CUTOFFS:
        raise ConfigurationError(f"{path}.k", f"{len(spec.k)} lengths; 1 to {MAX_CUTOFFS}")
    if len(set(spec.k)) < len(spec.k):
        raise ConfigurationError(f"{path}.k", "a length is given twice")
