"""Model definitions: what all services know of a model, published once in `driftline.control`.

A definition's hash is BLAKE2b-128 of the canonical JSON of the model's configuration, its baseline's hash, and the
story of that baseline where it has one; its version is the offset of that record. Contents are immutable and addressed
by hash, so a log that names a hash can be folded again at any time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from shared.errors import Corrupt
from shared.events.block import SCORE, SCORE_PREFIX, Stamp
from shared.identity import content_hash
from shared.log import Outgoing, Record, TopicPartition
from shared.monitors import ModelSpec
from shared.topics import Topics
from shared.unreadable import UNREADABLE
from shared.values import class_text

MAX_DEFINITIONS = 64  # of a model that are known at a time

ColumnKind = Literal["numeric", "categorical"]


class ModelSchema(msgspec.Struct, frozen=True, kw_only=True):
    """Column kinds as the baseline found them, or the configuration declares them; never inferred from a batch."""

    features: dict[str, ColumnKind]
    classes: list[str]  # of prediction and label, sorted; empty for regression and ranking
    scores: list[str]  # block columns, in order: [], ["score"] or ["score:<class>", ...]


def declared_schema(spec: ModelSpec) -> ModelSchema:
    """Return what the configuration of a model that warms up declares."""
    classes = sorted(map(class_text, spec.classes))
    kinds = {name: feature.kind for name, feature in spec.features.items()}
    return ModelSchema(
        features={name: kind for name, kind in kinds.items() if kind is not None},
        classes=classes,
        scores=score_columns(spec.task, classes),
    )


def score_columns(task: str, classes: Sequence[str]) -> list[str]:
    """Return the block columns of a model's scores."""
    return {"binary": [SCORE], "multiclass": [f"{SCORE_PREFIX}{name}" for name in classes]}.get(task, [])


class Acceptance(msgspec.Struct, frozen=True, kw_only=True):
    """An incident that someone declared the new normal."""

    incident_id: str
    reason: str
    at: str  # RFC 3339: when it was said


class ServedRows(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The rows of `driftline.observations` that a baseline, or parts of one, were built from."""

    since: str  # RFC 3339: of the first row and the last
    until: str
    rows: int
    model_version: str = ""  # empty: of every version
    part: Literal["all", "columns", "performance"] = "all"  # the rest is of the baseline before
    columns: list[str] = []  # which of them; empty: every one


class Definition(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One model: configuration, schema, and the hash of its baseline, empty while the model warms up.

    The rest is the story of a baseline that is not of the configured reference.
    """

    model: str
    spec: ModelSpec
    schema: ModelSchema
    baseline_hash: str = ""
    built_from: ServedRows | None = None  # None: the configured reference
    accepts: list[Acceptance] = []  # incidents whose change the baseline holds, oldest first
    follows: str | None = None  # hash of the definition that `driftline baseline undo` returns to
    id_key: str = ""  # fingerprint of the key that levels are hashed with, where the configuration hashes any

    @property
    def hash(self) -> str:
        """Return the content hash that blocks and alerts carry."""
        configuration = msgspec.json.encode(self.spec, order="sorted")
        content = configuration + b"\n" + self.baseline_hash.encode()
        if self.built_from is not None:
            story = (self.built_from, self.accepts, self.follows)
            content += b"\n" + msgspec.json.encode(story, order="sorted")
        return content_hash(content)

    def acceptance(self, incident_id: str) -> Acceptance | None:
        """Return how an incident was accepted, if it was."""
        return next((found for found in self.accepts if found.incident_id == incident_id), None)

    def stamp(self, version: int, id_key: str) -> Stamp:
        """Return what every block made under this definition carries."""
        return Stamp(version, self.hash, self.spec.horizon_ms, id_key)


def control_records(topics: Topics, definition: Definition, baseline: bytes) -> list[Outgoing]:
    """Return the records to write, baseline first: who sees a definition can always read its baseline."""

    def record(kind: str, named: str, value: bytes) -> Outgoing:
        return Outgoing(
            topic=topics.control, partition=0, key=f"{definition.model}/{kind}/{named}".encode(), value=value
        )

    found = []
    if definition.baseline_hash:
        found.append(record("baseline", definition.baseline_hash, baseline))
    return [*found, record("definition", definition.hash, msgspec.json.encode(definition, order="sorted"))]


def resumption(topics: Topics, source: TopicPartition, below: int) -> Outgoing:
    """Return the control record by which a halted input log goes on: its dead letters below an offset are accepted."""
    key = f"{source.topic}/resumed/{source.partition}"
    return Outgoing(topic=topics.control, partition=0, key=key.encode(), value=b"%d" % below)


class Catalogue:
    """The definitions and baselines of `driftline.control`, read from its beginning.

    Of each model the newest MAX_DEFINITIONS are kept, and those that the current one follows: a log that names an older
    one has not been read for long.
    """

    def __init__(self) -> None:
        self.definitions: dict[str, Definition] = {}  # by hash
        self.versions: dict[str, int] = {}  # hash to the offset of its newest record
        self.published_ms: dict[str, int] = {}  # hash to the log time of that record
        self.baselines: dict[str, bytes] = {}  # by hash
        self.current: dict[str, str] = {}  # model to the hash of its highest version
        self.dropped = 0  # definitions that gave way to newer ones
        self._of_model: dict[str, dict[str, None]] = {}  # model to the hashes of its definitions, oldest first
        self.resumed: dict[TopicPartition, int] = {}  # input to the offset below which its dead letters are accepted

    def absorb(self, record: Record) -> None:
        """Take one control record; records of other kinds are skipped.

        Raises:
            Corrupt: content that does not have the hash in its key.
        """
        if record.key is None or record.value is None:
            return
        model, kind, named = _parts(record.key)
        if kind == "baseline":
            if content_hash(record.value) != named:
                raise Corrupt(f"{record.topic}@{record.offset}: the baseline of {model} is not {named}")
            self.baselines[named] = record.value
        elif kind == "definition":
            try:
                definition = msgspec.json.decode(record.value, type=Definition)
            except UNREADABLE as exc:
                raise Corrupt(f"{record.topic}@{record.offset}: not a definition ({exc})") from exc
            if definition.hash != named:
                raise Corrupt(f"{record.topic}@{record.offset}: the definition of {model} is not {named}")
            self.definitions[named] = definition
            self.versions[named] = record.offset
            self.published_ms[named] = record.timestamp_ms
            self.current[model] = named
            self._keep(model, named)
        elif kind == "resumed":
            try:
                self.resumed[TopicPartition(model, int(named))] = int(record.value)
            except ValueError as exc:
                raise Corrupt(f"{record.topic}@{record.offset}: not an offset to resume {model} at") from exc

    @property
    def fullest(self) -> int:
        """Return how many definitions are kept of the model of which most are."""
        return max(map(len, self._of_model.values()), default=0)

    def _keep(self, model: str, named: str) -> None:
        """Take a definition as the model's newest; drop the oldest of too many, with a baseline that no other names."""
        known = self._of_model.setdefault(model, {})
        known.pop(named, None)
        known[named] = None
        if len(known) <= MAX_DEFINITIONS:
            return
        line = self._line(named)
        for oldest in [hashed for hashed in known if hashed not in line][: len(known) - MAX_DEFINITIONS]:
            del known[oldest]
            gone = self.definitions.pop(oldest)
            del self.versions[oldest], self.published_ms[oldest]
            if all(self.definitions[other].baseline_hash != gone.baseline_hash for other in known):
                self.baselines.pop(gone.baseline_hash, None)
            self.dropped += 1

    def _line(self, named: str | None) -> set[str]:
        """Return a definition with all those that it follows, down to its reference's."""
        found: set[str] = set()
        while named in self.definitions and named not in found:
            found.add(named)
            named = self.definitions[named].follows
        return found

    def definition(self, model: str) -> Definition | None:
        """Return a model's current definition, if it has one."""
        current = self.current.get(model)
        return None if current is None else self.definitions[current]

    def baseline(self, definition: Definition) -> bytes:
        """Return a definition's baseline; empty while the model warms up."""
        return self.baselines[definition.baseline_hash] if definition.baseline_hash else b""

    def warming_up(self) -> list[Definition]:
        """Return the current definitions without a baseline, by model."""
        current = (self.definitions[hashed] for _, hashed in sorted(self.current.items()))
        return [definition for definition in current if not definition.baseline_hash]

    def version(self, model: str) -> int:
        """Return the highest configuration version of a model."""
        return self.versions[self.current[model]]


def _parts(key: bytes) -> tuple[str, str, str]:
    """Return model, kind and hash; a stranger's key has no kind of ours."""
    parts = key.decode(errors="replace").rsplit("/", 2)
    return (parts[0], parts[1], parts[2]) if len(parts) == 3 else ("", "", "")
