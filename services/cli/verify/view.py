"""The joiner's view of one shard against the fold of its halves: position, counters, words, and every live entry.

A joiner that runs moves the view on. So entries are asked for together with the position that they belong to, as the
joiner does it, and where that has moved, the fold goes there first. An entry that has expired does not exist, whether
or not Redis still has it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from itertools import chain

from services.cli.verify.installation import Installation
from services.cli.verify.joined import JoinedShard
from services.cli.verify.report import Check, Evidence
from services.joiner.lookup import found_in
from services.joiner.meta import Meta
from services.joiner.shapes import Shapes
from services.joiner.view import Snapshot
from services.joiner.words import Words
from shared.events.block import FOLD, decode
from shared.history import history
from shared.log import TopicPartition

CHUNK = 4_000  # ids in one look
MOST_MOVES = 1_000  # of the view, between two looks that agree

Doubts = Callable[[bytes], bool]


class VerifiedView:
    """A view compared with a shard that is folded up to the view's position.

    doubts: tells the ids that may have been known before what is kept of the halves; None where all of them is kept.
    may_follow: whether the shard may be folded on where the view goes on.
    """

    def __init__(
        self, here: Installation, number: int, shard: JoinedShard, doubts: Doubts | None, *, may_follow: bool
    ) -> None:
        self.evidence = Evidence(Check.VIEW, TopicPartition(here.topics.halves, number), 0, shard.position or 0)
        self._here, self._number, self._shard, self._doubts = here, number, shard, doubts
        self._may_follow = may_follow
        self._words = b""
        self._shapes = Shapes(Words())

    def verify(self) -> None:
        """Compare everything; goes on with the fold where the view goes on."""
        snapshot = self._met()
        if snapshot is None:
            return
        if not snapshot.intact:
            self.evidence.differs(self._at(), "Redis has other numbers of entries than the joiner wrote")
            return
        if self._doubts is None:
            self._compare_snapshot(snapshot)
        else:
            self.evidence.leaves_out("counters and words: the halves have lost their beginning")
        for ids in _chunks(self._shard.ids()):
            if not self._compare(ids):
                return
        for ids in self._here.view.scan(self._number):
            unknown = [identity for identity in ids if self._shard.find(identity) is None]
            if unknown and not self._compare(unknown):
                return

    def _met(self) -> Snapshot | None:
        """Return the view as it is where the fold is; None where they do not meet."""
        for _ in range(MOST_MOVES):
            snapshot = self._here.view.load(self._number)
            if self._may_follow:
                self._follow(snapshot)
            if snapshot.position == self._shard.position:
                self.evidence.end = self._shard.position or 0
                return snapshot
            if not self._may_follow or snapshot.position is None or snapshot.position < (self._shard.position or 0):
                break
        if snapshot.position is None:
            self.evidence.cannot_decide("no view in Redis")
            return None
        self.evidence.cannot_decide("the view moved, and not to the end of what was folded: verify again")
        return None

    def _follow(self, snapshot: Snapshot) -> None:
        """Fold on up to the view's position."""
        start, end = self._shard.position or 0, snapshot.position or 0
        if end > start:
            with closing(self._here.open_reader()) as reader:
                for record in history(reader, TopicPartition(self._here.topics.halves, self._number), start, end):
                    self._shard.fold(record, decode(record))

    def _compare_snapshot(self, snapshot: Snapshot) -> None:
        wanted = self._shard.snapshot()
        fold = Meta.unpack(snapshot.meta).fold
        if fold != FOLD:
            self.evidence.leaves_out(f"counters: the view is of fold {fold}, this release folds by {FOLD}")
        elif snapshot.meta != wanted.meta:
            self.evidence.differs(self._at(), "log time, chain or counters are others")
        if snapshot.words != wanted.words:
            self.evidence.differs(self._at(), "words are others")

    def _compare(self, ids: Sequence[bytes]) -> bool:
        """Compare some entries; tell whether the view could be read."""
        while True:
            snapshot = self._met()
            if snapshot is None:
                return False
            reading = self._here.view.read(self._number, snapshot.position, ids)
            if reading is not None:
                break
        for identity in ids:
            if self._doubts is not None and self._doubts(identity):
                self.evidence.count("not comparable")
                continue
            wanted, given = self._live(self._shard.find(identity)), self._live(reading.entries.get(identity))
            if wanted is not None:
                self.evidence.count("live entries")
            if wanted != given and not self._say_the_same(wanted, given, snapshot.words):
                what = "is missing" if given is None else "is not due" if wanted is None else "says otherwise"
                self.evidence.differs(self._at(), f"the entry of {identity.hex()} {what}")
        return True

    def _live(self, entry: bytes | None) -> bytes | None:
        return entry if entry is not None and self._shard.is_live(entry) else None

    def _say_the_same(self, wanted: bytes | None, given: bytes | None, words: bytes) -> bool:
        """Tell whether two entries of different bytes differ in the numbers of their words only."""
        if self._doubts is None or wanted is None or given is None:
            return False
        if words != self._words:
            self._words, self._shapes = words, Shapes(Words.unpack(words))
        log_time = self._shard.meta.log_time
        return found_in(wanted, self._shard.shapes, log_time) == found_in(given, self._shapes, log_time)

    def _at(self) -> str:
        return f"view {self._number} at {self._shard.position}"


def _chunks(ids: Iterator[list[bytes]]) -> Iterator[list[bytes]]:
    every = list(dict.fromkeys(chain.from_iterable(ids)))
    for first in range(0, len(every), CHUNK):
        yield every[first : first + CHUNK]
