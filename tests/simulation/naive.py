"""What must come of the halves, told as plainly as it can be: dictionaries and loops, nothing of the joiner's fold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any, NamedTuple

from shared.events.block import Block, BlockKind

Row = dict[str, Any]


class Joined(NamedTuple):
    """One row of the observations, as far as it matters who met whom."""

    kind: BlockKind
    identity: bytes
    version: str
    said: Any  # the prediction of a served row, the label of the others


class _Half(NamedTuple):
    until: int  # the last log time at which the request counts
    predictions: dict[str, Any]  # by version
    labels: list[tuple[tuple[bool, int, int, int], Any]]  # rank and label, the standing one last
    is_erased: bool = False


def joined(halves: Iterable[tuple[int, Block]]) -> Counter[Joined]:
    """Return the rows that follow from the blocks of one shard, each with the time that the log gave it."""
    found: Counter[Joined] = Counter()
    requests: dict[bytes, _Half] = {}
    now = 0
    for time, block in halves:
        now = max(now, time)
        for row in [] if block.batch is None else block.batch.to_pylist():
            if block.kind is BlockKind.ERASURE:
                requests[row["id"]] = _Half(now + block.stamp.horizon_ms, {}, [], is_erased=True)
                continue
            known = requests.get(row["id"])
            if known is None or now > known.until:
                known = requests[row["id"]] = _Half(now + block.stamp.horizon_ms, {}, [])
            if known.is_erased:
                continue
            if block.kind is BlockKind.PREDICTION:
                found.update(_predicted(known, block.model_version, row))
            else:
                found.update(_labelled(known, row))
    return found


def leaps(halves: Iterable[tuple[int, Block]]) -> list[tuple[int, int]]:
    """Return the places and times of blocks of one shard in which log time leaps.

    That is by more than a week, and by more than half the longest horizon of it and the blocks before it.
    """
    found: list[tuple[int, int]] = []
    now, longest = None, 0
    for place, (time, block) in enumerate(halves):
        longest = max(longest, block.stamp.horizon_ms)
        if now is not None and time - now > max(longest // 2, 7 * 86_400_000):
            found.append((place, time))
        now = time if now is None else max(now, time)
    return found


def rows_of(blocks: Iterable[Block]) -> Counter[Joined]:
    """Return the rows of observations."""
    return Counter(
        Joined(
            block.kind,
            row["id"],
            block.model_version,
            row["prediction"] if block.kind is BlockKind.SERVED else row["label"],
        )
        for block in blocks
        if block.batch is not None
        for row in block.batch.to_pylist()
    )


def _predicted(known: _Half, version: str, row: Row) -> list[Joined]:
    if version in known.predictions:
        return []
    known.predictions[version] = row["prediction"]
    served = Joined(BlockKind.SERVED, row["id"], version, row["prediction"])
    labelled = [Joined(BlockKind.LABELLED, row["id"], version, label) for _, label in known.labels[-1:]]
    return [served, *labelled]


def _labelled(known: _Half, row: Row) -> list[Joined]:
    versioned = row["label_version"] is not None
    rank = (versioned, row["label_version"] if versioned else row["ts"], row["src_partition"], row["src_offset"])
    kind: BlockKind | None
    if not known.labels:
        kind = BlockKind.LABELLED
    elif rank <= known.labels[-1][0]:
        return []
    else:
        kind = BlockKind.CORRECTED if row["label"] != known.labels[-1][1] else None
    known.labels.append((rank, row["label"]))
    return [] if kind is None else [Joined(kind, row["id"], version, row["label"]) for version in known.predictions]
