"""Dead letters on Kafka."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from services.cli.dead_letters.coordinates import Coordinates, check_input
from services.cli.dead_letters.replay import Replay, Replayed
from services.cli.dead_letters.selection import Selection, letters
from services.cli.dead_letters.shown import Shown
from services.cli.dead_letters.shown import shown as shown_of
from services.cli.dead_letters.summary import By, Group, groups
from services.ground_truth_consumer import wire as ground_truth
from services.prediction_consumer import wire as predictions
from shared.acts import Act, ActKind, act_record
from shared.adapters.kafka import KafkaReader, KafkaWriter
from shared.adapters.system_clock import SystemClock
from shared.control import read_catalogue
from shared.definition import resumption
from shared.errors import ConfigurationError
from shared.events.block import BlockKind
from shared.identity import IdKey
from shared.log import TopicPartition
from shared.settings import Settings
from shared.values import format_ts

NAME = "dead-letters"


def grouped(settings: Settings, selection: Selection, by: Sequence[By]) -> list[Group]:
    """Return the letters that are meant by what they have in common."""
    with closing(KafkaReader(settings.kafka, NAME)) as reader, _bar("reading dead letters") as tell:
        return groups(letters(reader, settings.topics, selection, tell), by)


def shown(settings: Settings, coordinates: Coordinates, *, with_payload: bool) -> Shown | None:
    """Return one letter with the state of its record; None where there is no such letter."""
    with closing(KafkaReader(settings.kafka, NAME)) as reader:
        selection = Selection(coordinates=frozenset([coordinates]))
        found = next(letters(reader, settings.topics, selection), None)
        return None if found is None else shown_of(reader, found, with_payload=with_payload)


def replayed(settings: Settings, selection: Selection, *, accept_stale: bool, by: str | None) -> Replayed:
    """Take the letters that are meant through ingest once more; by: who sends what gives rows, None if nobody does."""
    topics, key = settings.topics, IdKey(settings.id_key.encode())
    with (
        closing(KafkaReader(settings.kafka, NAME)) as log,
        closing(KafkaReader(settings.kafka, NAME)) as raw,
        closing(KafkaWriter(settings.kafka, NAME)) as writer,
        _bar("trying dead letters" if by is None else "replaying dead letters") as tell,
    ):
        catalogue = read_catalogue(raw, topics)
        intakes = {
            BlockKind.PREDICTION: predictions.intake(topics, catalogue, key),
            BlockKind.LABEL: ground_truth.intake(topics, catalogue, key),
        }
        now = SystemClock().now_ms()
        replay = Replay(topics, intakes, raw, None if by is None else writer, None if accept_stale else now)
        done = replay.run(letters(log, topics, selection, tell))
        if by is not None and done.rows:
            about, models = selection.words(), sorted(selection.models)
            model = models[0] if len(models) == 1 else ""
            act = Act(kind=ActKind.REPLAY, model=model, at=format_ts(now), by=by, about=about, letters=done.rows)
            writer.send(act_record(topics, act))
            writer.flush()
        return done


def resumed(settings: Settings, sources: Sequence[TopicPartition], by: str) -> dict[TopicPartition, int]:
    """Accept the dead letters that input logs hold now; return, for each, the offset below which they are accepted.

    Raises:
        ConfigurationError: one is no input log.
    """
    below: dict[TopicPartition, int] = {}
    with closing(KafkaReader(settings.kafka, NAME)) as reader:
        for source in sources:
            check_input(settings.topics, source)
            partitions = reader.partitions(source.topic)
            if source.partition >= partitions:
                raise ConfigurationError(f"topic {source.topic}", f"has {partitions} partitions, no {source.partition}")
            below[source] = reader.bounds(source).high
    with closing(KafkaWriter(settings.kafka, NAME)) as writer:
        for source, offset in below.items():
            writer.send(resumption(settings.topics, source, offset))
        writer.flush()
        about = [f"{name}/{partition} below {offset}" for (name, partition), offset in below.items()]
        act = Act(kind=ActKind.RESUME, model="", at=format_ts(SystemClock().now_ms()), by=by, about=about)
        writer.send(act_record(settings.topics, act))
        writer.flush()
    return below


@contextmanager
def _bar(title: str) -> Iterator[Callable[[float], None]]:
    console = Console(stderr=True)
    columns = (TextColumn(title), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        task = bars.add_task("", total=1.0)
        yield lambda share: bars.update(task, completed=share)
