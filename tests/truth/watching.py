"""A detector core that is fed arrow batches directly, without a log around it, and the pages that it sends."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Literal

import numpy as np
import pyarrow as pa

from services.cli.publication import Publication
from services.detector.baseline_build import build_baseline
from services.detector.outputs import Outputs
from services.detector.report import NoSink, Sink
from services.detector.watch import Watch
from services.detector.watch_options import WatchOptions
from shared.events.alert import Incident, decode_alert
from shared.events.block import MAX_ROWS, PREDICTION, TS, Block, BlockKind, Chain
from shared.log import Outgoing
from shared.monitors import AlertsSpec, ModelSpec
from shared.topics import Topics
from tests.truth.streams import Stream

MODEL, VERSION = "simulated", "v1"
TOPICS = Topics()
_SEQS = 1 << 16  # from one block to the next, as joiners number their outputs


def spec_of(
    stream: Stream,
    *,
    pages_per_month: float = 2.0,
    events_per_week: float | None = None,
    cycle: Literal["none", "day"] = "day",
) -> ModelSpec:
    """Return the configuration of a stream without labels; a prediction is a binary one."""
    is_binary = PREDICTION in stream.columns
    return ModelSpec(
        task="binary" if is_binary else "regression",
        positive_class="1" if is_binary else None,
        reference="reference.parquet",
        segments=list(stream.segments),
        alerts=AlertsSpec(false_pages_per_month=pages_per_month),
        events_per_week=events_per_week,
        cycle=cycle,
    )


class Prepared:
    """A model whose baseline is built; every watch on it starts anew."""

    def __init__(self, spec: ModelSpec, reference: pa.Table, model: str = MODEL) -> None:
        self.model = model
        self.baseline = build_baseline(model, spec, reference)
        self._publication = Publication.of(model, spec, self.baseline)

    def watch(self, sink: Sink | None = None) -> Watched:
        """Return a watch that has seen nothing; `sink` takes its windows."""
        return Watched(self._publication, sink or NoSink())

    def why_not(self, column: str) -> str:
        """Return why a column does not page on all traffic; empty if it may."""
        places = {found.name: place for place, found in enumerate(self.baseline.columns)}
        return self.baseline.why_not_yet(places[column], 0)


class Watched:
    """One model version's watch with the pages that it sent and the rows that it has seen."""

    def __init__(self, publication: Publication, sink: Sink) -> None:
        self._publication = publication
        self._outputs = Outputs(TOPICS, "truth")
        self._stamp = publication.definition.stamp(1, "key")
        options = WatchOptions(self._outputs, "truth", profiles=False)
        self._watch = Watch(publication.definition, VERSION, 1, publication.baseline, options, sink)
        self._seq = -1
        self.rows = 0
        self.pages: list[Incident] = []
        self.events: Counter[str] = Counter()  # of incidents, by type
        self.latest: dict[str, Incident] = {}  # every incident by its id, as it was told last

    @property
    def is_open(self) -> bool:
        """Tell whether an incident is open."""
        return bool(self._watch.open_incidents())

    def page_of(self, column: str) -> Incident | None:
        """Return the first page that names a column."""
        named = (page for page in self.pages if any(culprit.feature == column for culprit in page.culprits))
        return next(named, None)

    def detections(self, detector: str) -> int:
        """Return how many detections of a kind passed their gate so far, in open incidents as well."""
        return self._outputs.told.detections[detector]

    def fork(self) -> Watched:
        """Return a watch that goes on from here on its own; its pages begin anew."""
        found = Watched(self._publication, NoSink())
        found._watch.restore(self._watch.snapshot())
        found._seq, found.rows = self._seq, self.rows
        return found

    def feed(
        self,
        stream: Stream,
        rng: np.random.Generator,
        count: int,
        *,
        cut: int = MAX_ROWS,
        until: Callable[[], bool] = lambda: False,
    ) -> None:
        """Serve the stream's next `count` rows, or fewer if `until` holds after a block."""
        for batch in stream.batches(rng, self.rows, count, cut):
            self.serve(batch)
            if until():
                return

    def serve(self, batch: pa.RecordBatch) -> int:
        """Take one served batch; return the number by which its labels name it."""
        self.rows += batch.num_rows
        return self._fold(BlockKind.SERVED, batch)

    def label(self, batch: pa.RecordBatch) -> None:
        """Take labels of rows served before."""
        self._fold(BlockKind.LABELLED, batch)

    def correct(self, batch: pa.RecordBatch) -> None:
        """Take corrections of labels taken before."""
        self._fold(BlockKind.CORRECTED, batch)

    def _fold(self, kind: BlockKind, batch: pa.RecordBatch) -> int:
        before, self._seq = self._seq, self._seq + _SEQS
        chain = Chain(0, self._seq, before)
        block = Block(kind, self._publication.definition.model, VERSION, self._stamp, batch, chain)
        log_time = int(batch.column(TS)[-1].as_py())
        for message in self._watch.fold(block, log_time, {0: self._seq}):
            self._take(message)
        return self._seq

    def _take(self, message: Outgoing) -> None:
        if message.topic != TOPICS.alerts:
            return
        alert = decode_alert(message.value)
        if isinstance(alert.data, Incident):
            self.latest[alert.data.incident_id] = alert.data
            self.events[alert.type] += 1
            if alert.is_page:
                self.pages.append(alert.data)
