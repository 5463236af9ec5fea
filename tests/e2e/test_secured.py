"""The pipeline where nothing is allowed by default: TLS, a password and a principal for everyone."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
import redis

from services.cli.__main__ import main
from services.detector.adapters.redis_checkpoints import RedisCheckpoints
from services.devstack.adapters.principals import enrol, know
from services.devstack.adapters.stack import RunningStack
from services.devstack.security import Files, as_user
from services.joiner.adapters.redis_view import RedisView
from services.joiner.view import Change
from shared.adapters.kafka import KafkaAdmin, KafkaReader, KafkaWriter
from shared.adapters.kafka.acls import KafkaAcls
from shared.adapters.redis import answering, connect
from shared.control import read_whole
from shared.errors import ConfigurationError, Denied, Unavailable, Undelivered
from shared.events.block import Block, BlockKind, encode
from shared.events.dead_letter import dead_letter
from shared.grants import grants_of
from shared.log import Outgoing, Record, TopicPartition
from shared.services import SERVICES
from shared.settings import Settings
from tests.conftest import OUTCOME
from tests.kit.installation import Event, Installation
from tests.kit.pipeline import label, monitored, prediction, publications
from tests.kit.probing import probed
from tests.kit.stack import own_settings, session_stack
from tests.kit.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.long]
CONFIGURATION = """
models: {loan: {task: binary, positive_class: 1, reference: reference.csv}}
notify: [{to: log}]
"""


@pytest.fixture(scope="module")
def secured(request: pytest.FixtureRequest) -> Iterator[RunningStack]:
    with session_stack(request.config.stash[OUTCOME], secure=True) as running:
        yield running


@pytest.fixture
def settings(secured: RunningStack) -> Settings:
    """Settings of an installation of one's own, of nobody in particular."""
    return own_settings(secured)


def files_of(stack: RunningStack) -> Files:
    assert stack.files is not None
    return stack.files


def administrator(stack: RunningStack, settings: Settings) -> Settings:
    return as_user(settings, "admin", files_of(stack))


def do(client: redis.Redis, *command: str) -> None:
    untyped: Any = client
    untyped.execute_command(*command)


def enrolled(stack: RunningStack, settings: Settings) -> dict[str, Settings]:
    return enrol(stack.administrator, settings, files_of(stack), prefix=f"{settings.installation}-")


def test_every_service_does_its_work_with_what_its_role_may_and_no_more(
    secured: RunningStack, settings: Settings, tmp_path: Path
) -> None:
    (tmp_path / "driftline.yaml").write_text(CONFIGURATION)
    mine = msgspec.structs.replace(settings, config=str(tmp_path / "driftline.yaml"), heartbeat="1s")
    roles = enrolled(secured, mine)
    with ExitStack() as undo:
        here = Installation(administrator(secured, mine), publications(monitored(loan={})))
        undo.callback(here.close)
        running = {name: undo.enter_context(probed(name, roles[name], tmp_path)) for name in SERVICES}
        producer = undo.enter_context(closing(KafkaWriter(roles["producer"].kafka, "test")))
        for event in (
            Event(mine.topics.predictions, "r1", msgspec.json.encode(prediction(request_id="r1"))),
            Event(mine.topics.ground_truth, "r1", msgspec.json.encode(label(request_id="r1"))),
            Event(mine.topics.predictions, None, b"garbage"),
        ):
            producer.send(Outgoing(event.topic, event.value))
        producer.flush()
        for _, health in running.values():
            until(health.ready, lambda answer: answer.ok)
        until(
            running["detector"][1].samples, lambda shown: shown["detector_labelled_rows_total"].get(("loan", "v1")) == 1
        )
        until(lambda: here.records(mine.topics.alerts), bool)
        here.wait_for("retrain_trigger")
        assert len(here.records(mine.topics.dead_letters)) == 1
        reader = undo.enter_context(closing(KafkaReader(roles["subscriber"].kafka, "test")))
        heard = list(read_whole(reader, mine.topics.alerts))
        assert [process.stop() for process, _ in running.values()] == [0] * len(SERVICES)
    assert len(heard) > 0

    with (
        closing(KafkaReader(roles["subscriber"].kafka, "test")) as stranger,
        pytest.raises(ConfigurationError, match=r"Kafka does not let us.*driftline topics acls"),
    ):
        list(read_whole(stranger, mine.topics.observations))
    assert (
        KafkaAcls(secured.administrator.kafka).missing(
            dict.fromkeys(grants_of("joiner", mine), f"User:{mine.installation}-joiner")
        )
        == []
    )


def test_an_operator_may_do_what_repairs_and_what_sends_dead_letters_again_and_no_more(
    secured: RunningStack, settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    here = Installation(administrator(secured, settings), publications(monitored(loan={})))
    operator = enrolled(secured, settings)["operator"]
    with closing(connect(secured.administrator.redis)) as client, closing(connect(operator.redis)) as redis_of_operator:
        RedisCheckpoints(client, settings.installation).put_if_newer(0, 9, b"sealed")
        view = RedisView(secured.administrator.redis, installation=settings.installation, shards=4)
        view.advance(1, None, Change(7, b"m", None, False, {}))
        for name, value in operator.environment().items():
            monkeypatch.setenv(name, value)
        refused = Record(settings.topics.predictions, 0, 0, 0, None, msgspec.json.encode(prediction(request_id="r1")))
        letter = dead_letter(
            settings.topics, refused, service="test", reason="unknown_model", detail="loan", model="loan"
        )
        writer = KafkaWriter(administrator(secured, settings).kafka, "test")
        for message in (Outgoing(refused.topic, refused.value, partition=0), letter):
            writer.send(message)
        writer.close()

        codes = [
            main(["repair", "observations", "--shard", "1", "--checkpoint", "0", "--yes", "--json"]),
            main(["dead-letters", "replay", "--accept-stale", "--yes", "--json"]),
            main(["dead-letters", "resume", f"{settings.topics.predictions}/0", "--json"]),
            main(["audit", "--json"]),
        ]

        assert codes == [0, 0, 0, 0]
        audited = json.loads(capsys.readouterr().out.splitlines()[-1])
        acts = [entry["what"] for entry in audited if entry["what"].startswith("act.")]
        assert acts[-3:] == ["act.repair", "act.replay", "act.resume"]
        assert (view.load(1).position, RedisCheckpoints(client, settings.installation).candidates(0)) == (None, [])
        view.close()
        for command in (("GET", f"driftline:{settings.installation}:ck:0"), ("UNLINK", "another")):
            with pytest.raises(redis.exceptions.NoPermissionError):
                do(redis_of_operator, *command)
    here.close()


def test_what_is_not_granted_is_refused_with_what_grants_it(secured: RunningStack, settings: Settings) -> None:
    KafkaAdmin(administrator(secured, settings).kafka).create(settings.topics.specs())
    roles = enrolled(secured, settings)
    joiner = KafkaWriter(roles["joiner"].kafka, "test")

    joiner.send(Outgoing(settings.topics.observations, b"ours"))
    joiner.flush()
    with pytest.raises(ConfigurationError, match="alerts: Kafka does not let us"):
        joiner.send(Outgoing(settings.topics.alerts, b"forged"))
    joiner.close()
    detector = KafkaWriter(roles["detector"].kafka, "test")
    detector.send(Outgoing(settings.topics.observations, b"forged"))  # it may read them, and so knows of them
    with pytest.raises(Undelivered, match="observations: Kafka does not let us"):
        detector.flush()
    detector.close()
    with closing(connect(roles["joiner"].redis)) as client:
        for command in (("FLUSHALL",), ("CONFIG", "GET", "*"), ("KEYS", "*"), ("GET", "driftline:x:ck:0")):
            with pytest.raises(redis.exceptions.NoPermissionError):
                do(client, *command)
        with pytest.raises(Denied, match=r"Redis: .*flushall.*`driftline redis acl` prints"), answering():
            client.flushall()


def test_a_service_without_grants_waits_for_them_and_then_begins(
    secured: RunningStack, settings: Settings, tmp_path: Path
) -> None:
    KafkaAdmin(administrator(secured, settings).kafka).create(settings.topics.specs())
    user = f"{settings.installation}-late"
    know(secured.administrator, files_of(secured), user)
    known = administrator(secured, settings)
    mine = msgspec.structs.replace(
        known, kafka_username=user, kafka_password_file=str(files_of(secured).password(user))
    )

    with probed("joiner", mine, tmp_path) as (process, health):
        waiting = until(health.ready, lambda answer: answer.state == "waiting")
        alive = health.live()
        KafkaAcls(secured.administrator.kafka).apply(dict.fromkeys(grants_of("joiner", settings), f"User:{user}"))
        until(health.ready, lambda answer: answer.ok)
        assert process.stop() == 0
        starts = [line for line in process.lines() if line["event"] == "serving_health"]

    assert alive
    assert waiting.reason.startswith(
        f"Kafka does not let {user} do this; `driftline topics acls --role joiner --apply` grants it: "
    )
    assert f"Read topic {settings.topics.halves}" in waiting.reason
    assert len(starts) == 1


def test_a_service_with_a_wrong_password_says_so_and_stays(
    secured: RunningStack, settings: Settings, tmp_path: Path
) -> None:
    (tmp_path / "wrong").write_text("wrong")
    mine = msgspec.structs.replace(
        as_user(settings, "admin", files_of(secured)), kafka_password_file=str(tmp_path / "wrong")
    )

    with probed("notifier", mine, tmp_path) as (process, health):
        waiting = until(health.ready, lambda answer: answer.state == "waiting")
        (line, *_) = [line for line in process.lines() if line["event"] == "waiting"]

    mend = "mend DRIFTLINE_KAFKA_USERNAME or DRIFTLINE_KAFKA_PASSWORD"
    assert waiting.reason == f"Kafka does not know admin with this password (SCRAM-SHA-512): {mend}"
    assert line["error"] == waiting.reason
    assert "wrong" not in process.log.read_text().replace(str(tmp_path), "")


def test_a_client_that_is_refused_tries_the_password_that_its_file_holds_then(
    secured: RunningStack, settings: Settings, tmp_path: Path
) -> None:
    known = administrator(secured, settings)
    KafkaAdmin(known.kafka).create(settings.topics.specs())
    password = Path(known.kafka_password_file)
    rotated = tmp_path / "password"
    rotated.write_text("wrong")
    mine = msgspec.structs.replace(known, kafka_password_file=str(rotated)).kafka
    source = TopicPartition(settings.topics.halves, 0)

    with ExitStack() as undo:
        reader = undo.enter_context(closing(KafkaReader(mine, "test")))
        writer = undo.enter_context(closing(KafkaWriter(mine, "test")))
        for refused in (partial(reader.partitions, source.topic), partial(writer.send, Outgoing(source.topic, b"x"))):
            with pytest.raises(Denied):
                refused()
        rotated.write_text(password.read_text())
        until(partial(asked, partial(reader.partitions, source.topic)), bool)
        until(partial(asked, partial(writer.send, Outgoing(source.topic, b"x", partition=0))), bool)
        writer.flush()

        assert reader.topic_id(source.topic)
        assert reader.bounds(source).high == 1


def asked(ask: Callable[[], object]) -> bool:
    """Tell whether a question is answered, whatever the answer is."""
    with suppress(Unavailable):
        ask()
        return True
    return False


def test_a_joiner_whose_user_may_not_write_in_redis_waits_for_it(
    secured: RunningStack, settings: Settings, tmp_path: Path
) -> None:
    KafkaAdmin(administrator(secured, settings).kafka).create(settings.topics.specs())
    mine = enrolled(secured, settings)["joiner"]
    writer = KafkaWriter(administrator(secured, settings).kafka, "test")
    value, headers = encode(Block(BlockKind.TICK))
    with closing(connect(secured.administrator.redis)) as client:
        do(client, "ACL", "SETUSER", mine.redis_username, "-hset")

        with probed("joiner", mine, tmp_path) as (process, health):
            until(health.ready, lambda answer: answer.ok)
            writer.send(Outgoing(settings.topics.halves, value, partition=0, headers=headers))
            writer.flush()
            waiting = until(health.ready, lambda answer: not answer.ok)
            do(client, "ACL", "SETUSER", mine.redis_username, "+hset")
            until(health.ready, lambda answer: answer.ok)
            assert process.stop() == 0
    writer.close()

    assert waiting.state == "waiting"
    assert "script" in waiting.reason  # of which Redis 7.0 tells the line, and a later one the command
    assert "`driftline redis acl` prints what our user needs" in waiting.reason
