"""Definitions and baselines: which models' definitions in `driftline.control` are not what the configuration says."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from services.detector.baseline import Baseline, encode, schema
from shared.definition import Catalogue, Definition, control_records
from shared.identity import content_hash
from shared.log import Writer
from shared.monitors import ModelSpec
from shared.topics import Topics

Build = Callable[[str, ModelSpec], Baseline]


@dataclass(frozen=True, slots=True)
class Publication:
    """A definition to write, with its baseline's bytes."""

    definition: Definition
    baseline: bytes

    @classmethod
    def of(cls, model: str, spec: ModelSpec, baseline: Baseline) -> Publication:
        """Return what a configured model and its baseline make."""
        content = encode(baseline)
        definition = Definition(
            model=model, spec=spec.without_secrets(), schema=schema(baseline), baseline_hash=content_hash(content)
        )
        return cls(definition, content)


def is_published(model: str, spec: ModelSpec, catalogue: Catalogue) -> bool:
    """Return whether a model's current definition has this configuration, and its baseline is there."""
    current = catalogue.current.get(model)
    if current is None:
        return False
    definition = catalogue.definitions[current]
    return definition.spec == spec.without_secrets() and definition.baseline_hash in catalogue.baselines


def missing(
    models: Mapping[str, ModelSpec], catalogue: Catalogue, build: Build, *, rebuild: bool
) -> Iterator[Publication]:
    """Yield what must be written before a service starts.

    rebuild: build every baseline, so that a reference that changed under its name is noticed; else only those of models
    whose configuration is not published.
    """
    for model, spec in models.items():
        if not rebuild and is_published(model, spec, catalogue):
            continue
        publication = Publication.of(model, spec, build(model, spec))
        if catalogue.current.get(model) != publication.definition.hash:
            yield publication


def publish(writer: Writer, topics: Topics, publication: Publication) -> None:
    """Write one definition after its baseline, and wait until both are safe."""
    for record in control_records(topics, publication.definition, publication.baseline):
        writer.send(record)
    writer.flush()
