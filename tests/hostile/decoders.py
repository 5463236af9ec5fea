"""Every decoder, with whole bytes to begin with: whatever a fuzzer makes of them is read, or refused in words.

Bytes that end in a checksum get the right one: what lies behind it is to be met, too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cache, partial
from typing import Literal, NamedTuple

import google_crc32c
import numpy as np

from services.cli.publication import Publication
from services.detector import baseline, sealing
from services.detector.checkpoints import Checkpoint
from services.detector.sealing import Seal
from services.detector.state import Field
from services.detector.state import pack as pack_state
from services.detector.state import unpack as unpack_state
from services.joiner import entry
from services.joiner.lookup import found_in
from services.joiner.mark import Mark
from services.joiner.meta import Meta
from services.joiner.shapes import Shapes
from services.joiner.words import Words
from services.notifier.book import Book, Waiting
from services.retrain_trigger.ledger import decode_entry
from shared.bookmarks import Bookmark
from shared.definition import Catalogue, control_records
from shared.errors import ConfigurationError, Corrupt, Malformed, Newer
from shared.events.alert import IncidentEvent, decode_alert
from shared.events.block import Block, BlockKind, decode, encode
from shared.events.halt import Halt
from shared.events.news import UnknownFeatures
from shared.log import Headers, Record
from shared.monitors import parse_monitors
from shared.topics import Topics
from tests.hostile import fates
from tests.kit import halves, ranked
from tests.kit.ingest import encoded, label, loan, prediction
from tests.kit.pipeline import monitored, publications
from tests.kit.repository import ROOT

REFUSALS = (Corrupt, Newer, Malformed, ConfigurationError)
END = b"\n\n"  # of a record's headers, in the bytes that a fuzzer changes
CRC_BYTES = 4

Decode = Callable[[bytes], object]


class Decoder(NamedTuple):
    """What reads bytes, and bytes that it reads."""

    read: Decode
    seeds: Sequence[bytes]

    def meet(self, data: bytes) -> None:
        """Read bytes; what is raised is a mistake of ours."""
        with suppress(*REFUSALS):
            self.read(data)


def events(kind: BlockKind, seeds: Sequence[object]) -> Decoder:
    """Return what an input's consumer does with one event."""
    taken = fates.intake(kind)  # one for all: it forgets nothing that changes a fate
    return Decoder(lambda data: fates.meet(kind, [data], taken), [encoded(seed) for seed in seeds])


def predictions() -> Decoder:
    ranking, _ = ranked.events(ranked.requests(1))[0]
    return events(
        BlockKind.PREDICTION,
        [
            prediction(),
            prediction(latency_ms=3, error=None, challenger="c"),
            {"request_id": "r", "model": "price", "model_version": "v", "features": {"size": 1.5}, "prediction": 2.0},
            {"request_id": "r", "model": "animals", "model_version": "v", "features": {}, "prediction": "cat"},
            ranking,
        ],
    )


def labels() -> Decoder:
    _, gains = ranked.events(ranked.requests(1))[0]
    return events(BlockKind.LABEL, [label(), label(label_version=3, label_ts="2025-06-15T15:06:40Z"), gains])


def blocks() -> Decoder:
    found = [
        halves.predictions(halves.P("a"), halves.P("b", prediction=None)),
        halves.predictions(halves.P("a", items=["x", "y"])),
        halves.labels(halves.L("a", version=1), halves.L("b")),
        halves.erasure("a"),
        halves.tick(),
    ]
    told = [
        Block(BlockKind.TICK, halt=Halt("predictions", 0, 7, "dead letters")),
        Block(BlockKind.TICK, news=UnknownFeatures("loan", ["age"], more=1)),
    ]
    return Decoder(lambda data: decode(signed(data)), [flat(*encode(block)) for block in (*found, *told)])


def flat(value: bytes, headers: Headers) -> bytes:
    """Return a record as lines of headers and, behind an empty one, its value."""
    return b"\n".join(name.encode() + b"=" + content for name, content in headers[:-1]) + END + value


def signed(data: bytes) -> Record:
    """Return the record of `flat` bytes with the right checksum."""
    head, _, value = data.partition(END)
    pairs = [line.partition(b"=") for line in head.split(b"\n")]
    headers = [(name.decode("utf-8", "replace"), content) for name, _, content in pairs]
    crc = int(google_crc32c.value(value))
    for name, content in headers:
        crc = int(google_crc32c.extend(crc, name.encode() + b"=" + content + b"\n"))
    return Record("halves", 0, 1, 0, None, value, (*headers, ("crc32c", b"%08x" % crc)))


def checked(read: Decode, seeds: Sequence[bytes], order: Literal["little", "big"] = "little") -> Decoder:
    """Return a decoder of bytes that end in their CRC32C."""

    def whole(data: bytes) -> object:
        return read(data + int(google_crc32c.value(data)).to_bytes(CRC_BYTES, order))

    return Decoder(whole, [seed[:-CRC_BYTES] for seed in seeds])


def states() -> Decoder:
    fields: dict[str, Field] = {"count": 3, "mean": 0.5, "names": ["a"], "array": np.arange(3.0)}
    return checked(partial(unpack_state, "bank", 3), [pack_state("bank", 3, fields)])


def checkpoints() -> Decoder:
    seal = Seal("test")
    sealed = seal.close(2, Checkpoint(7, b"state" * 40, Bookmark("topic", 6, 5, 4)))

    def opened(data: bytes) -> object:
        return seal.open(2, data + sealing._digest(data))

    return Decoder(opened, [sealed[: -sealing._DIGEST_BYTES]])


def baselines() -> Decoder:
    return checked(baseline.decode, [published().baseline])


def controls() -> Decoder:
    def absorb(data: bytes) -> None:
        key, _, value = data.partition(END)
        Catalogue().absorb(Record("control", 0, 0, 0, key, value))

    _, definition = control_records(Topics(), loan(), b"")
    told = [(definition.key or b"", definition.value or b""), (b"predictions/resumed/0", b"7")]
    return Decoder(absorb, [key + END + value for key, value in told])


@cache
def published() -> Publication:
    (found,) = publications(monitored(loan={}))
    return found


@cache
def shard() -> halves.Shard:
    """Return a view of ids that wait, that have their labels, that are ranked and that are erased."""
    return halves.folded(
        halves.predictions(halves.P("a"), halves.P("b"), halves.P("c")),
        halves.predictions(halves.P("d", items=["x", "y"]), version="v2"),
        halves.labels(halves.L("b", version=1)),
        halves.labels(halves.L("d", {"x": 1.0})),
        halves.erasure("c"),
    )


def entries() -> Decoder:
    shapes = Shapes(Words.unpack(shard().words))

    def looked_up(data: bytes) -> None:
        entry.unlabelled(data, shapes)
        found_in(data, shapes, 0)

    return Decoder(looked_up, list(shard().entries.values()))


def words() -> Decoder:
    def looked_up(data: bytes) -> None:
        found = Words.unpack(data)
        shapes = Shapes(found)
        for packed in shard().entries.values():
            found_in(packed, shapes, 0)

    return Decoder(looked_up, [shard().words])


def books() -> Decoder:
    waiting = Waiting("1" * 32, "log", "loan", "2 features", IncidentEvent.OPENED, 0, 7, 1, 2, "503")
    return checked(Book.unpack, [Book(7, 1, waiting=[waiting], seen=[3]).pack()], "big")


def configurations() -> Decoder:
    files = [
        *(ROOT / "tests" / "monitors").glob("*.yaml"),
        *(ROOT / "services" / "cli" / "data").glob("*/driftline.yaml"),
    ]
    return Decoder(parse_monitors, [file.read_bytes() for file in sorted(files)])


def events_of(read: Decode, beginning: str) -> Decoder:
    """Return a decoder of events in JSON, of which records of the first release are whole ones."""
    return Decoder(read, [file.read_bytes() for file in sorted((ROOT / "tests/wire/v1").glob(f"{beginning}*.json"))])


DECODERS: Mapping[str, Callable[[], Decoder]] = {
    "predictions": predictions,
    "labels": labels,
    "blocks": blocks,
    "states": states,
    "checkpoints": checkpoints,
    "baselines": baselines,
    "control": controls,
    "entries": entries,
    "words": words,
    "meta": lambda: Decoder(Meta.unpack, [shard().meta]),
    "mark": lambda: Decoder(Mark.unpack, [Mark(Bookmark("topic", 6, 5, 4), 3).pack()]),
    "books": books,
    "alerts": lambda: events_of(decode_alert, "alert"),
    "retraining": lambda: events_of(decode_entry, "retraining"),
    "configuration": configurations,
}
