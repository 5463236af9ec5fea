"""Baselines from the log on Kafka, with a progress bar when a person watches."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

from services.cli import output
from services.cli.acceptance import Accepted, Request, accept, undone
from services.cli.adapters.baselines import progress_bar
from services.cli.adapters.environment import actor
from services.cli.adapters.hosting import publish
from services.cli.log_baseline import Built, build_from_log
from services.cli.publication import Publication
from services.cli.stories import Story, stories
from services.cli.warm_up import Outcome, WarmUp, WarmUps, learn, still_wanted
from services.detector.adapters.kernel_cache import use_kernel_cache
from services.detector.log_reference import Range
from shared.acts import ActKind
from shared.adapters.kafka import KafkaReader
from shared.adapters.system_clock import SystemClock
from shared.control import read_catalogue
from shared.definition import ServedRows
from shared.log import Reader
from shared.monitors import ModelSpec
from shared.settings import Settings


def built_from_log(settings: Settings, model: str, spec: ModelSpec, wanted: Range) -> Built:
    """Return the definition whose baseline is that of a range; raises like `build_from_log`."""
    use_kernel_cache()
    with _reader(settings) as reader, progress_bar(f"baseline of {model}") as tell:
        return build_from_log(reader, settings.topics, model, spec, wanted, tell)


def accepted(settings: Settings, incident_id: str, reason: str, columns: tuple[str, ...]) -> Accepted:
    """Return the definition that accepts an incident now; raises like `accept`."""
    use_kernel_cache()
    request = Request(incident_id, reason, SystemClock().now_ms(), columns)
    with _reader(settings) as reader, progress_bar(f"accepting {incident_id}") as tell:
        return accept(reader, settings.topics, request, tell)


def undoing(settings: Settings, model: str) -> Publication:
    """Return the definition before the current one; raises like `undone`."""
    with _reader(settings) as reader:
        return undone(read_catalogue(reader, settings.topics), model)


def told(settings: Settings, model: str | None) -> list[Story]:
    """Return the published definitions, newest first."""
    with _reader(settings) as reader:
        return stories(read_catalogue(reader, settings.topics), model)


def learned(settings: Settings, *, wait: bool) -> Outcome:
    """Give every model its baseline whose warm-up is over; raises like `learn`."""
    use_kernel_cache()

    def give(found: WarmUp) -> ServedRows:
        with progress_bar(f"baseline of {found.definition.model}") as tell:
            built = warm_ups.build(found, tell)
        if built.left_out:
            model, rows = found.definition.model, built.baseline.rows
            output.message(f"{model}: the newest {rows:,} rows are used; {built.left_out:,} are older")
        publish(settings, lambda catalogue: still_wanted(catalogue, built.publication), ActKind.WARM_UP, actor(None))
        return built.rows

    with _reader(settings) as reader:
        warm_ups = WarmUps(reader, settings.topics)
        return learn(warm_ups, give, output.message, SystemClock(), wait=wait)


@contextmanager
def _reader(settings: Settings) -> Iterator[Reader]:
    with closing(KafkaReader(settings.kafka, "baseline")) as reader:
        yield reader
