"""Meta: what the view keeps of a whole shard beside its entries, and the counters that must balance."""

from __future__ import annotations

import msgspec

from shared.errors import Corrupt, Newer
from shared.events.block import FOLD
from shared.monitors import MAX_MODELS
from shared.unreadable import UNREADABLE
from shared.values import OTHER_LEVEL

# Labels without a prediction that one generation of a shard keeps, so that ids out of thin air do not fill Redis. A
# whole topic of labels may come before its predictions, so there is room for many: about 140 MB.
MAX_WAITING_LABELS = 1_000_000
VERSION = b"\x02"  # of meta and of the entries beside it


class Counters(msgspec.Struct):
    """What became of one model's rows of `driftline.halves`; two sums hold at every position.

    predictions = served + prediction_duplicates + prediction_conflicts + predictions_dropped + predictions_erased
    labels      = labels_joined + unmatched_label + corrections + label_duplicates + label_conflicts + labels_dropped
                + labels_erased
    """

    served: int = 0  # first sights of a prediction
    prediction_duplicates: int = 0  # same id, version and content as one before
    prediction_conflicts: int = 0  # same id and version, other content; the first one stays
    predictions_dropped: int = 0  # a fifth version of one id, or a shape beyond the cap of a model's shapes
    labels_joined: int = 0  # first labels of an id that met at least one prediction, whichever came first
    unmatched_label: int = 0  # first labels of an id whose prediction has not come, or came after the label expired
    corrections: int = 0  # labels of higher rank and another value: they replaced the one before
    label_duplicates: int = 0  # labels of an equal value, of any rank
    label_conflicts: int = 0  # labels of lower rank and another value: ignored
    labels_dropped: int = 0  # first labels of an id, while too many wait for their predictions already
    predictions_erased: int = 0  # of an id that was erased: ignored
    labels_erased: int = 0
    erasures: int = 0  # ids that someone asked to forget, repeats included
    classes_over_cap: int = 0  # rows whose class is kept as `__other__`: the model has had too many classes

    @property
    def predictions(self) -> int:
        """Return how many rows of predictions are accounted for."""
        return (
            self.served
            + self.prediction_duplicates
            + self.prediction_conflicts
            + self.predictions_dropped
            + self.predictions_erased
        )

    @property
    def labels(self) -> int:
        """Return how many rows of labels are accounted for."""
        return (
            self.labels_joined
            + self.unmatched_label
            + self.corrections
            + self.label_duplicates
            + self.label_conflicts
            + self.labels_dropped
            + self.labels_erased
        )


class Meta(msgspec.Struct):
    """The state of one shard that is not of one id. `prev` has one place a partition of the observations."""

    prev: list[int]  # seq of the last output to each partition; -1: none yet
    log_time: int = 0  # running maximum, ms
    period: int = 0  # the largest horizon stamped so far, ms: the entries' generations last at least as long
    generation: int = 0  # log time at which the current generation began
    last_offset: int = -1  # of the last record folded
    words_crc: int = 0  # of the packed words that go with this meta; 0: none yet
    waiting: int = 0  # labels of the current generation whose prediction has not come
    counters: dict[str, Counters] = {}
    fold: int = FOLD  # the version of the fold that was here last

    @classmethod
    def fresh(cls, destinations: int) -> Meta:
        """Return the meta of an empty log prefix."""
        return cls(prev=[-1] * destinations)

    def pack(self) -> bytes:
        """Return bytes with a version header."""
        return VERSION + msgspec.msgpack.encode(self)

    @classmethod
    def unpack(cls, packed: bytes) -> Meta:
        """Return the meta in `packed`.

        Raises:
            Corrupt: not written by a release that this one can read.
            Newer: a later release has gone on with the shard.
        """
        if packed[:1] > VERSION:
            raise Newer(f"the view has version {packed[:1]!r}, this release reads {VERSION!r}: start the later one")
        if packed[:1] != VERSION:
            raise Corrupt(f"the view has version {packed[:1]!r}, this release reads {VERSION!r}")
        try:
            meta = msgspec.msgpack.decode(packed[1:], type=cls)
        except UNREADABLE as exc:
            raise Corrupt(f"the view's meta does not read back ({exc})") from exc
        if meta.fold > FOLD:
            raise Newer(f"the view is of fold {meta.fold}, this release knows up to {FOLD}: start the later one")
        return meta

    def count(self, model: str) -> Counters:
        """Return the counters of a model, to add to; models beyond MAX_MODELS are counted as one."""
        named = model if model in self.counters or len(self.counters) < MAX_MODELS else OTHER_LEVEL
        return self.counters.setdefault(named, Counters())


def summary(packed: bytes) -> dict[str, Counters]:
    """Return the counters of each model in one shard's stored meta; none where nothing is stored yet.

    Raises:
        Corrupt, Newer: not written by a release that this one can read.
    """
    return Meta.unpack(packed).counters if packed else {}
