"""One shard: its halves folded once, and everything compared that follows from them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing

from services.cli.verify.beginning import TOO_SHORT
from services.cli.verify.installation import Installation
from services.cli.verify.joined import JoinedShard
from services.cli.verify.observations import Accepted, Comparison, Reach
from services.cli.verify.report import Check, Evidence, named
from services.cli.verify.view import VerifiedView
from shared.errors import Corrupt, LogIdentity
from shared.history import history
from shared.log import TopicPartition


def verify_shard(here: Installation, reach: Reach) -> list[Evidence]:
    """Fold a shard; return what is found of its observations, its joins and its view."""
    source = TopicPartition(here.topics.halves, reach.shard)
    shard = JoinedShard(reach.shard, here.key, here.topics.observations_partitions)
    view = Evidence(Check.VIEW, source)
    with ExitStack() as undo:
        comparison = Comparison(reach, shard, source)
        try:
            comparison.accepted += _accepted(here, reach, undo)
            view = _fold(here, reach, source, comparison)
        except (Corrupt, LogIdentity) as exc:
            # A joiner or a detector stops here, too.
            stopped = shard.position or reach.halves.low
            comparison.observations.end = comparison.joins.end = stopped
            comparison.observations.differs(named(source, stopped), str(exc))
            view.cannot_decide("the fold stopped before")
    return [comparison.observations, comparison.joins, view]


def _accepted(here: Installation, reach: Reach, undo: ExitStack) -> Iterator[Accepted]:
    for log, (low, high) in reach.observations.items():
        reader = undo.enter_context(closing(here.open_reader()))
        yield Accepted(log, history(reader, log, low, high), reach.shard, is_whole=low == 0)


def _fold(here: Installation, reach: Reach, source: TopicPartition, comparison: Comparison) -> Evidence:
    view: Evidence | None = None
    with closing(here.open_reader()) as reader:
        for record in here.metered(reader, source, *reach.halves, "folding"):
            if reach.position == record.offset > reach.halves.low:
                view = _view(here, reach, comparison, may_follow=False)
            comparison.take(record)
    comparison.end()
    # A joiner at work has left where it was at the beginning: it is met at the end.
    return view if view is not None and view.is_decided else _view(here, reach, comparison, may_follow=True)


def _view(here: Installation, reach: Reach, comparison: Comparison, *, may_follow: bool) -> Evidence:
    beginning = comparison.beginning
    doubts = None if beginning.is_whole else beginning.doubts_id
    found = VerifiedView(here, reach.shard, comparison.shard, doubts, may_follow=may_follow)
    if beginning.is_past:
        found.verify()
    else:
        found.evidence.cannot_decide(TOO_SHORT)
    return found.evidence
