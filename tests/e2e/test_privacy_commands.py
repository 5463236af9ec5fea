"""`driftline trace`, `erase` and `audit` on a real broker and a real Redis."""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import replace

import pyarrow as pa
import pytest

from services.cli.__main__ import main
from services.cli.exits import Exit
from services.cli.publication import publish
from services.joiner.adapters.redis_view import RedisView
from services.joiner.adapters.service import wire
from services.joiner.lookup import Found, look_up
from shared.failpoints import Failpoints
from shared.settings import Settings
from tests.kit.accepting import AS_READ
from tests.kit.halves import KEY, P, outgoing, predictions
from tests.kit.logs import KafkaLog
from tests.kit.traffic import MODEL, published_as
from tests.kit.waiting import until


def test_a_request_is_traced_erased_and_audited(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    identity = KEY.request(MODEL, "r1")
    shard = KEY.half_partition(MODEL, identity, spread=1, partitions=settings.halves_partitions)
    with ExitStack() as undo:
        log = KafkaLog(settings, undo)
        for spec in log.topics.specs():
            log.create(spec)
        publish(log.writer(), log.topics, published_as(AS_READ))
        block = predictions(P("r1", ts=1_700_000_000_000), model=MODEL)
        assert block.batch is not None
        place = block.batch.schema.get_field_index("src_topic")
        source = pa.array([log.topics.predictions]).dictionary_encode()
        halves = log.writer()
        written = replace(block, batch=block.batch.set_column(place, "src_topic", source))
        halves.send(outgoing(written, log.topics.halves, shard, 0))
        halves.flush()
        joiner = wire(settings, Failpoints(), undo)
        view = RedisView(settings.redis, installation=settings.installation, shards=settings.halves_partitions)
        undo.callback(view.close)

        def known() -> Found | None:
            joiner.step(0.1)
            return look_up(view, shard, identity)

        until(known, bool)

        assert main(["trace", MODEL, "nobody"]) == Exit.FAILURE
        assert capsys.readouterr().err.startswith("no log has it: ")
        assert main(["trace", MODEL, "r1", "--json"]) == Exit.OK
        traced = json.loads(capsys.readouterr().out)
        assert [half["kind"] for half in traced["halves"]] == ["prediction"]
        assert [seen["served_row"] for seen in traced["observations"]] == [0]

        assert main(["erase", "--model", MODEL, "r1", "--actor", "ada", "--json"]) == Exit.OK
        erased = json.loads(capsys.readouterr().out)
        assert erased["records"] == [f"{log.topics.halves}-{shard}@1"]
        assert {"where": log.topics.observations, "until": "3 days after they were written"}.items() <= (
            erased["remains"][3].items()
        )
        until(known, lambda found: found is not None and found.is_erased)

        assert main(["audit", "--csv"]) == Exit.OK
        lines = capsys.readouterr().out.splitlines()
        assert [line.split(",")[1] for line in lines] == ['"what"', '"baseline"', '"definition"', '"act.erase"']
        assert '"ada"' in lines[-1]
