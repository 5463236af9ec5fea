from __future__ import annotations

import json
import signal
import subprocess
import sys

import pyarrow as pa
import pytest

from services.cli.__main__ import main
from services.cli.demo import sets
from services.cli.exits import Exit
from services.cli.names import SERVICES
from services.devstack.adapters.ports import free_port
from shared.adapters.kafka import KafkaAdmin, KafkaWriter
from shared.events.block import Block, BlockKind, Chain, Stamp, encode
from shared.identity import IdKey
from shared.log import Outgoing
from shared.settings import Settings

PATIENCE_SECONDS = 120.0
BIKES = sets.folder("bikes") / "driftline.yaml"


@pytest.fixture
def here(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Give the command line this test's settings by its environment."""
    for name, value in {**settings.environment(), "DRIFTLINE_CONFIG": str(BIKES)}.items():
        monkeypatch.setenv(name, value)
    return settings


def test_topics_are_created_once_and_then_are_as_they_must_be(
    here: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    names = {spec.name for spec in here.topics.specs()}

    codes = [main(["topics", "check", "--json"]), main(["topics", "create", "--json"])]
    codes += [main(["topics", "create", "--json"]), main(["topics", "check", "--json"])]

    before, first, second, after = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert codes == [Exit.FAILURE, Exit.OK, Exit.OK, Exit.OK]
    assert len(before["differences"]) == len(names)
    assert (set(first["created"]), second["created"]) == (names, [])
    assert after == {"ok": True, "created": [], "differences": []}


@pytest.mark.usefixtures("here")
def test_services_refuse_to_start_without_their_topics(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["services", "run", "joiner"]) == Exit.CONFIGURATION
    assert f"create them with `driftline topics create --config {BIKES}`" in capsys.readouterr().err


def test_tail_finds_a_request_by_its_identity(here: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    KafkaAdmin(here.kafka).create(here.topics.specs())
    key = IdKey(here.id_key.encode())
    identities = [key.request("m", request) for request in ("other", "mine")]
    block = Block(
        kind=BlockKind.SERVED,
        model="m",
        model_version="1",
        stamp=Stamp(0, "", 1, key.fingerprint),
        batch=pa.record_batch({"id": pa.array(identities, pa.binary(16)), "prediction": [1.0, 2.0]}),
        chain=Chain(0, 0, -1),
    )
    value, headers = encode(block)
    writer = KafkaWriter(here.kafka, "test")
    writer.send(Outgoing(here.topics.observations, value, partition=1, headers=headers))
    writer.close()

    codes = [
        main(["tail", "observations", "--request-id", "mine", "--model", "m"]),
        main(["tail", "observations", "--request-id", "nobodys", "--model", "m"]),
    ]

    printed = capsys.readouterr()
    (found,) = [json.loads(line) for line in printed.out.splitlines()]
    assert printed.err == f"no row of request 'nobodys' in {here.topics.observations}\n"
    assert codes == [Exit.OK, Exit.OK]
    assert (found["kind"], found["row"], found["prediction"]) == ("served", 1, 2.0)


@pytest.mark.usefixtures("settings")
def test_dev_takes_the_ports_it_is_given_and_makes_every_topic() -> None:
    kafka, redis = free_port(0, 0), free_port(0, 0)
    command = [sys.executable, "-m", "services.cli", "dev", "--json"]
    command += ["--kafka-port", str(kafka), "--redis-port", str(redis)]

    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as dev:
        assert dev.stdout is not None
        told = json.loads(dev.stdout.readline())
        topics = KafkaAdmin(Settings(bootstrap=told["bootstrap"]).kafka).check(Settings().topics.specs())
        dev.send_signal(signal.SIGINT)
        code = dev.wait(PATIENCE_SECONDS)

    assert (told["bootstrap"], told["redis_url"]) == (f"127.0.0.1:{kafka}", f"redis://127.0.0.1:{redis}/0")
    assert (topics, code) == ([], Exit.OK)


def test_services_publish_what_is_watched_and_stop_when_asked(here: Settings) -> None:
    KafkaAdmin(here.kafka).create(here.topics.specs())
    command = [sys.executable, "-m", "services.cli", "services", "run"]

    said = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as run:
        assert run.stdout is not None
        for line in run.stdout:
            said.append(line)
            if '"event":"started"' in line and sum('"event":"started"' in text for text in said) == len(SERVICES):
                run.send_signal(signal.SIGTERM)
        code = run.wait(PATIENCE_SECONDS)

    assert code == Exit.OK, "".join(said)
    assert said[0].startswith("published bikes: definition ")
