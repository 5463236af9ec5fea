"""`driftline repair observations` on a real Redis."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from io import StringIO

import pytest
import redis

from services.cli.__main__ import main
from services.cli.exits import Exit
from services.detector.adapters.redis_checkpoints import RedisCheckpoints
from services.detector.logged_checkpoints import LoggedCheckpoints
from services.joiner.adapters.redis_view import RedisView
from services.joiner.view import Change
from shared.adapters.kafka import KafkaAdmin, KafkaReader, KafkaWriter
from shared.settings import Settings


@dataclass
class Kept:
    """What an installation keeps in Redis: a view of each shard, a checkpoint of each partition."""

    view: RedisView
    redis: RedisCheckpoints
    log: LoggedCheckpoints

    def views(self) -> list[int | None]:
        """Return where each shard stands."""
        return [self.view.load(shard).position for shard in range(4)]

    def positions(self) -> list[list[int]]:
        """Return where each partition stands in each place."""
        found = [(*self.redis.candidates(partition), *self.log.candidates(partition)) for partition in range(2)]
        return [[candidate.position for candidate in kept] for kept in found]


@pytest.fixture
def kept(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kept]:
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    view = RedisView(settings.redis, installation=settings.installation, shards=4)
    with redis.Redis.from_url(settings.redis_url) as client:
        KafkaAdmin(settings.kafka).create(settings.topics.specs())
        reader = partial(KafkaReader, settings.kafka, "test")
        with closing(KafkaWriter(settings.kafka, "test")) as writer:
            log = LoggedCheckpoints(reader, writer, settings.topics.checkpoints, settings.installation)
            for partition in range(2):
                log.put_if_newer(partition, 8, b"sealed")
        kept = Kept(view, RedisCheckpoints(client, settings.installation), log)
        for shard in range(4):
            view.advance(shard, None, Change(7, b"m", None, False, {}))
        for partition in range(2):
            kept.redis.put_if_newer(partition, 9, b"sealed")
        yield kept
    view.close()


def test_views_of_shards_and_checkpoints_are_deleted(kept: Kept, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--shard", "2", "--shard", "1", "--shard", "2", "--checkpoint", "0"]

    assert main(["repair", "observations", *arguments, "--yes", "--json", "--actor", "ada"]) == Exit.OK
    assert json.loads(capsys.readouterr().out) == {"ok": True, "views": [1, 2], "checkpoints": [0]}
    assert (kept.views(), kept.positions()) == ([7, None, None, 7], [[], [9, 8]])

    assert main(["audit", "--json"]) == Exit.OK
    (entry,) = json.loads(capsys.readouterr().out)
    assert (entry["what"], entry["model"], entry["who"]) == ("act.repair", "", "ada")
    assert entry["text"] == "deleted, to be built anew, view 1, view 2, checkpoint 0"


def test_the_views_of_all_shards_are_deleted(kept: Kept, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["repair", "observations", "--every-shard", "--yes"]) == Exit.OK
    assert capsys.readouterr().out == "deleted the view of shard 0, 1, 2, 3; start the detector again\n"
    assert (kept.views(), kept.positions()) == ([None] * 4, [[9, 8], [9, 8]])


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ([], "say what to delete"),
        (["--shard", "4"], "4 is none of 0 to 3"),
        (["--checkpoint", "-1"], "-1 is none of 0 to 1"),
    ],
)
def test_what_does_not_exist_is_refused(
    kept: Kept, capsys: pytest.CaptureFixture[str], arguments: list[str], problem: str
) -> None:
    assert main(["repair", "observations", "--yes", *arguments]) == Exit.USAGE
    assert problem in capsys.readouterr().err
    assert (kept.views(), kept.positions()) == ([7] * 4, [[9, 8], [9, 8]])


@pytest.mark.parametrize("answer", ["n\n", "\n", ""])
def test_nothing_is_deleted_where_nobody_says_yes(
    kept: Kept, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    monkeypatch.setattr("sys.stdin", StringIO(answer))

    assert main(["repair", "observations", "--shard", "0"]) == Exit.FAILURE
    assert "Delete the view of shard 0?" in capsys.readouterr().err
    assert (kept.views(), kept.positions()) == ([7] * 4, [[9, 8], [9, 8]])
