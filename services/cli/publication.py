"""Definitions and baselines: which models' definitions in `driftline.control` are not what the configuration says.

What people have declared (a baseline from the log, an incident accepted) stands while the reference that it followed is
the same, however often that is built again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from services.detector.baseline import Baseline, decode, encode, schema
from services.detector.degradation.binding import bind_degradation
from services.detector.rules.binding import bind
from shared.definition import Acceptance, Catalogue, Definition, ServedRows, control_records, declared_schema
from shared.identity import content_hash
from shared.log import Writer
from shared.monitors import AlertsSpec, ModelSpec
from shared.topics import Topics

Build = Callable[[str, ModelSpec], Baseline]


@dataclass(frozen=True, slots=True)
class Publication:
    """A definition to write, with its baseline's bytes, empty while the model warms up."""

    definition: Definition
    baseline: bytes

    @classmethod
    def of(cls, model: str, spec: ModelSpec, baseline: Baseline) -> Publication:
        """Return what a configured model and its baseline make.

        Raises:
            ConfigurationError: a rule or a detector of the model names what the baseline does not have.
        """
        _bind(model, spec, baseline)
        content = encode(baseline)
        definition = Definition(
            model=model, spec=spec.without_secrets(), schema=schema(baseline), baseline_hash=content_hash(content)
        )
        return cls(definition, content)

    @classmethod
    def warming_up(cls, model: str, spec: ModelSpec) -> Publication:
        """Return what a configured model makes that has no baseline yet."""
        return cls(Definition(model=model, spec=spec.without_secrets(), schema=declared_schema(spec)), b"")

    def telling(self, built_from: ServedRows, accepts: Sequence[Acceptance], follows: str) -> Publication:
        """Return the same with the story of a baseline that is not of the configured reference."""
        story = {"built_from": built_from, "accepts": list(accepts), "follows": follows}
        return Publication(msgspec.structs.replace(self.definition, **story), self.baseline)


def is_published(model: str, spec: ModelSpec, catalogue: Catalogue) -> bool:
    """Return whether a model's current definition has this configuration, and its baseline is there."""
    current = catalogue.current.get(model)
    if current is None:
        return False
    definition = catalogue.definitions[current]
    return definition.spec == spec.without_secrets() and definition.baseline_hash in {"", *catalogue.baselines}


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
        publication = standing(catalogue, configured(model, spec, build))
        if catalogue.current.get(model) != publication.definition.hash:
            yield publication


def configured(model: str, spec: ModelSpec, build: Build) -> Publication:
    """Return what the configuration alone makes of a model; a model that warms up has nothing to build.

    Raises:
        ConfigurationError: the reference cannot be used, or a rule or a detector names what it does not have.
    """
    if spec.warm_up is not None:
        return Publication.warming_up(model, spec)
    return Publication.of(model, spec, build(model, spec))


def standing(catalogue: Catalogue, publication: Publication) -> Publication:
    """Return what stands where a reference was built: what followed from the same baseline, else the publication.

    Raises:
        ConfigurationError: a rule or a detector of the model names what the baseline that stands does not have.
    """
    wanted = publication.definition
    current = catalogue.definition(wanted.model)
    if current is None or current.built_from is None or not fits(current.spec, wanted.spec):
        return publication
    first = current
    while first.follows is not None:
        first = catalogue.definitions[first.follows]
    if first.baseline_hash != wanted.baseline_hash:
        return publication
    content = catalogue.baselines[current.baseline_hash]
    _bind(wanted.model, wanted.spec, decode(content))
    return Publication(msgspec.structs.replace(current, spec=wanted.spec), content)


def _bind(model: str, spec: ModelSpec, baseline: Baseline) -> None:
    """Refuse what people have brought and the baseline does not have."""
    bind(model, spec, baseline)
    bind_degradation(model, spec, baseline)
    if spec.detectors:
        # Numerics are imported when they are needed: this module is every service's.
        from services.detector.advisory.binding import bind_detectors

        bind_detectors(model, spec, baseline)


def fits(before: ModelSpec, now: ModelSpec) -> bool:
    """Return whether a baseline that was built under one configuration is one for the other."""
    return _of_baseline(before) == _of_baseline(now)


def _of_baseline(spec: ModelSpec) -> ModelSpec:
    """Return the spec without what no baseline depends on."""
    return msgspec.structs.replace(
        spec,
        label_horizon="90d",
        alerts=AlertsSpec(false_pages_per_month=spec.alerts.false_pages_per_month),
        degradation={},
        cost=None,
        detectors=[],
        retrain=None,
        spread=1,
    )


def publish(writer: Writer, topics: Topics, publication: Publication) -> None:
    """Write one definition after its baseline, and wait until both are safe."""
    for record in control_records(topics, publication.definition, publication.baseline):
        writer.send(record)
    writer.flush()
