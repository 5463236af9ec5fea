"""Before services start, and how they start."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from importlib import import_module

import msgspec

from services.cli import output, publication
from services.cli.adapters.environment import actor, level_key
from services.cli.adapters.supervisor import Ended, Supervisor, driftline
from services.cli.configuration import Configuration
from services.detector.baseline import Baseline
from shared.acts import Act, ActKind, act_record
from shared.adapters import access
from shared.adapters.health import serving_health
from shared.adapters.kafka import KafkaAdmin, KafkaReader, KafkaWriter
from shared.adapters.system_clock import SystemClock
from shared.control import read_catalogue
from shared.definition import Catalogue
from shared.errors import ConfigurationError
from shared.grants import grants_of
from shared.monitors import ModelSpec
from shared.progress import Progress
from shared.settings import Settings
from shared.values import format_ts

WARM_UP = "warm_up"


def await_access(seen: Mapping[str, Progress], settings: Settings) -> None:
    """Return when Kafka answers and lets these services do their work; probes of theirs see what is amiss."""
    for name, progress in seen.items():
        access.await_access(name, settings, clock=SystemClock(), should_stop=lambda: False, progress=progress)


def check_topics(settings: Settings, configuration: Configuration, roles: Iterable[str] = ("operator",)) -> None:
    """Refuse topics that these roles cannot work with, which none creates; tell of settings that differ.

    Raises:
        ConfigurationError: a topic does not exist, or has another number of partitions.
        Unavailable: no broker answers.
    """
    used = {grant.name for role in roles for grant in grants_of(role, settings)}
    specs = [spec for spec in configuration.topics(settings.topics) if spec.name in used]
    reader = KafkaReader(settings.kafka, "check")
    try:
        partitions = [(spec, reader.partitions(spec.name)) for spec in specs]
    finally:
        reader.close()
    missing = [spec.name for spec, found in partitions if not found]
    if missing:
        advice = f"create them with `driftline topics create --config {configuration.path}`"
        raise ConfigurationError("topics", f"{', '.join(missing)} do not exist; {advice}")
    for spec, found in partitions:
        if found != spec.partitions:
            raise ConfigurationError(f"topic {spec.name}", f"has {found} partitions, not {spec.partitions}")
    for difference in KafkaAdmin(settings.kafka, "check").check(specs):
        output.message(f"warning: {difference}")


def prepare(settings: Settings, configuration: Configuration, *, rebuild: bool) -> None:
    """Publish the definitions that `driftline.control` lacks; safe to repeat and to do in several places at once.

    Where all of them are published, and none is to be built anew, no reference is read: it need not be there.
    """
    models, build = configuration.monitors.models, partial(_baseline_of, configuration)
    publish(
        settings,
        lambda catalogue: publication.missing(models, catalogue, build, rebuild=rebuild),
        ActKind.PUBLISH,
        actor(None),
    )


def prepare_warm_ups(settings: Settings, configuration: Configuration) -> None:
    """Publish the definitions that `driftline.control` lacks of models that warm up; no reference is read."""
    check_topics(settings, configuration)
    models = {name: spec for name, spec in configuration.monitors.models.items() if spec.warm_up is not None}
    build = partial(_baseline_of, configuration)
    publish(
        settings,
        lambda catalogue: publication.missing(models, catalogue, build, rebuild=False),
        ActKind.PUBLISH,
        actor(None),
    )


def publish(
    settings: Settings,
    wanted: Callable[[Catalogue], Iterable[publication.Publication]],
    kind: ActKind,
    by: str,
    *,
    incident_id: str = "",
    reason: str = "",
) -> None:
    """Publish what is wanted, given what `driftline.control` holds, where it is not a model's current definition.

    kind, by: what is done with that and by whom, which is written beside it. incident_id, reason: of an acceptance.
    """
    reader = KafkaReader(settings.kafka, "prepare")
    writer = KafkaWriter(settings.kafka, "prepare")
    try:
        catalogue = read_catalogue(reader, settings.topics)
        for unkeyed in wanted(catalogue):
            found = _keyed(settings, catalogue, unkeyed)
            definition, before = found.definition, catalogue.definition(found.definition.model)
            if before is not None and before.hash == definition.hash:
                continue
            publication.publish(writer, settings.topics, found)
            act = Act(
                kind=kind,
                model=definition.model,
                at=format_ts(SystemClock().now_ms()),
                by=by,
                definition=definition.hash,
                incident_id=incident_id,
                reason=reason,
            )
            writer.send(act_record(settings.topics, act))
            writer.flush()
            output.message(f"published {definition.model}: definition {definition.hash}")
            if before is not None and before.built_from is not None and definition.built_from is None:
                output.message(f"{definition.model}: its baseline is that of the reference again")
    finally:
        writer.close()
        reader.close()


def _keyed(settings: Settings, catalogue: Catalogue, found: publication.Publication) -> publication.Publication:
    """Return a publication that says with which key its levels are hashed, if any are."""
    definition, before = found.definition, catalogue.definition(found.definition.model)
    if not definition.spec.hashed:
        return found
    key = level_key(settings, definition.model, definition.spec)
    if {definition.id_key, "" if before is None else before.id_key} - {"", key.fingerprint}:
        raise ConfigurationError("DRIFTLINE_ID_KEY", f"is not the key that the baseline of {definition.model} has")
    return publication.Publication(msgspec.structs.replace(definition, id_key=key.fingerprint), found.baseline)


def _baseline_of(configuration: Configuration, model: str, spec: ModelSpec) -> Baseline:
    # Numerics take a second and 130 MB: only a process that has a baseline to build loads them, and the detector.
    baseline: Baseline = import_module("services.cli.adapters.baselines").baseline_of(configuration, model, spec)
    return baseline


@contextmanager
def seen_to_start(names: Sequence[str], settings: Settings) -> Iterator[dict[str, Progress]]:
    """Answer probes of these services, which are not there yet, while the block runs: live, and not ready.

    Gives what the probes are answered with.

    Raises:
        ConfigurationError: a port for health is taken.
    """
    seen = {name: Progress(SystemClock()) for name in names}
    with ExitStack() as undo:
        if settings.health_port:  # else nobody knows where to ask
            for name, progress in seen.items():
                undo.enter_context(serving_health(name, settings, progress))
        yield seen


def run_here(name: str) -> int:
    """Run one service in this process until it is told to stop; return its exit code."""
    code: int = import_module(f"services.{name}.__main__").main()
    return code


def supervise(names: Sequence[str], *, warm_up: bool, restarts: bool) -> Ended:
    """Run services as child processes until we are told to stop, or one ends.

    warm_up: give models their baselines beside them. restarts: as `Supervisor` does.
    """
    width = max(map(len, names))
    commands = {name: driftline("services", "run", name, "--child") for name in names}
    steps = {WARM_UP: driftline("baseline", "warm-up", "--wait", "--stop-with-parent")} if warm_up else {}

    def line(name: str, text: str) -> None:
        output.result(f"{name:<{width}} | {text}")

    return Supervisor({**commands, **steps}, {}, line, may_end=frozenset(steps), restarts=restarts).run()
