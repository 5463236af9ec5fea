"""A detector beside a log: what people accept and take back, it takes up with the next rows."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pyarrow as pa

from services.cli.acceptance import Accepted, Request, accept, undone
from services.cli.publication import Publication, publish
from services.detector.definitions import ControlDefinitions
from services.detector.partition import PartitionFold
from services.detector.report import NoSink
from services.detector.watch import Watch
from shared.control import read_catalogue
from shared.definition import Catalogue
from shared.events.alert import Incident, IncidentEvent
from shared.log import Outgoing
from shared.monitors import ModelSpec
from tests.kit.logs import LogUnderTest, MemoryLog, write
from tests.kit.traffic import MODEL, SPEC, START_MS, Log, fold_options, incidents, published_as, watch_of

SAID_MS = START_MS + 1
AS_READ = msgspec.json.decode(msgspec.json.encode(SPEC), type=ModelSpec)  # a class `1` is read as 1.0


class Watched:
    """One model under watch, whose traffic are the rows of `table`. `told`: what the detector said, in order."""

    def __init__(self, table: pa.Table, first: Publication | None = None, on: LogUnderTest | None = None) -> None:
        self.on = on or MemoryLog()
        self.topics = self.on.topics
        for spec in self.topics.specs():
            self.on.create(spec)
        self.log = Log(table)
        self.told: list[tuple[IncidentEvent, Incident]] = []
        self._fold = PartitionFold(0, ControlDefinitions(self.catalogue), fold_options(), NoSink())
        self._folded = 0
        self.publish(first or published_as(AS_READ))

    def catalogue(self) -> Catalogue:
        """Return what is published."""
        return read_catalogue(self.on.reader(), self.topics)

    def publish(self, found: Publication) -> None:
        """Publish a definition, and take it up."""
        publish(self.on.writer(), self.topics, found)
        self.take_up()

    def take_up(self) -> None:
        """Stamp rows with what is published now."""
        catalogue = self.catalogue()
        definition = catalogue.definitions[catalogue.current[MODEL]]
        self.log.stamped = Publication(definition, catalogue.baseline(definition))
        self.log.version = catalogue.version(MODEL)

    def serve(self, start: int, stop: int) -> list[tuple[IncidentEvent, Incident]]:
        """Serve rows of the table; return what the detector says of them."""
        self.log.serve(start, stop)
        return self._taken()

    def label(self, start: int, stop: int) -> list[tuple[IncidentEvent, Incident]]:
        """Label rows that were served; return what the detector says of them."""
        self.log.label(start, stop)
        return self._taken()

    def open(self) -> list[Incident]:
        """Return the incidents that are open, as the detector told of them last."""
        last = {data.incident_id: data for _, data in self.told}
        return [last[one] for one in self.watch.open_incidents()]

    @property
    def watch(self) -> Watch:
        """Return the detector's watch of the model."""
        return watch_of(self._fold)

    def accept(self, incident_id: str, *columns: str, reason: str = "the EU launch") -> Accepted:
        """Return what accepts an incident; publishes nothing."""
        request = Request(incident_id, reason, SAID_MS, columns)
        return accept(self.on.reader(), self.topics, request, lambda _step, _share: None)

    def undo(self) -> None:
        """Take the last acceptance back."""
        self.publish(undone(self.catalogue(), MODEL))

    def _taken(self) -> list[tuple[IncidentEvent, Incident]]:
        new, self._folded = self.log.records[self._folded :], len(self.log.records)
        told = [message for record in new for message in self._fold.fold(record)]
        served = [
            Outgoing(record.topic, record.value, partition=0, headers=record.headers, timestamp_ms=record.timestamp_ms)
            for record in new
        ]
        write(self.on, *(replace(message, topic=self.topics.named(message.topic)) for message in (*served, *told)))
        found = incidents(told)
        self.told += found
        return found
