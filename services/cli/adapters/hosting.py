"""Before services start, and how they start."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from importlib import import_module

from services.cli import output
from services.cli.adapters.baselines import baseline_of
from services.cli.adapters.supervisor import Ended, Supervisor, driftline
from services.cli.configuration import Configuration
from services.cli.logs import read_catalogue
from services.cli.publication import missing, publish
from shared.adapters.kafka import KafkaAdmin, KafkaReader, KafkaWriter
from shared.errors import ConfigurationError
from shared.settings import Settings


def refuse_missing_topics(settings: Settings, configuration: Configuration) -> None:
    """Check the topics, which no service creates by itself.

    Raises:
        ConfigurationError: a topic does not exist, or not as it must be.
        Unavailable: no broker answers.
    """
    specs = settings.topics.specs(configuration.longest_horizon_ms)
    differences = KafkaAdmin(settings.bootstrap, "services").check(specs)
    if differences:
        advice = f"run `driftline topics create --config {configuration.path}`"
        raise ConfigurationError("topics", f"{'; '.join(differences)}: {advice}")


def prepare(settings: Settings, configuration: Configuration, *, rebuild: bool) -> None:
    """Publish the definitions that `driftline.control` lacks; safe to repeat and to do in several places at once."""
    reader = KafkaReader(settings.bootstrap, "prepare")
    writer = KafkaWriter(settings.bootstrap, "prepare")
    try:
        catalogue = read_catalogue(reader, settings.topics)
        build = partial(baseline_of, configuration)
        for publication in missing(configuration.monitors.models, catalogue, build, rebuild=rebuild):
            publish(writer, settings.topics, publication)
            definition = publication.definition
            output.message(f"published {definition.model}: definition {definition.hash}")
    finally:
        writer.close()
        reader.close()


def run_here(name: str) -> int:
    """Run one service in this process until it is told to stop; return its exit code."""
    code: int = import_module(f"services.{name}.__main__").main()
    return code


def supervise(names: Sequence[str]) -> Ended:
    """Run services as child processes until we are told to stop, or one ends."""
    width = max(map(len, names))
    commands = {name: driftline("services", "run", name, "--child") for name in names}
    return Supervisor(commands, {}, lambda name, text: output.result(f"{name:<{width}} | {text}")).run()
