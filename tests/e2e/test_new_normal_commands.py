"""`driftline baseline`: built from the log, accepted, listed and undone, on a real broker."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from services.cli.__main__ import main
from services.cli.exits import Exit
from shared.events.alert import IncidentEvent
from shared.settings import Settings
from tests.kit.accepting import Watched
from tests.kit.logs import KafkaLog
from tests.kit.traffic import rows

CONFIG = """
models:
  loans:
    task: binary
    positive_class: 1
    reference: reference.parquet
    segments: [channel]
    label_horizon: 30d
    alerts: {false_pages_per_month: 100}
"""


@pytest.fixture
def watched(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watched]:
    """A model on Kafka whose inputs have changed."""
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    with ExitStack() as undo:
        watched = Watched(rows(14_500, drift_at=2_000), on=KafkaLog(settings, undo))
        watched.serve(0, 13_000)
        yield watched


def test_what_is_accepted_is_listed_taken_up_and_undone(
    watched: Watched, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "driftline.yaml"
    config.write_text(CONFIG)
    (incident,) = watched.open()

    accept = main(["baseline", "accept", incident.incident_id, "--columns", "amount", "--reason", "the EU launch"])
    assert (accept, f"incident {incident.incident_id} closes as accepted" in capsys.readouterr().out) == (Exit.OK, True)
    watched.take_up()
    assert [(event, data.reason) for event, data in watched.serve(13_000, 14_500)] == [
        (IncidentEvent.ACCEPTED, "the EU launch")
    ]

    again = main(["baseline", "accept", incident.incident_id, "--reason", "once more"])
    assert (again, "is closed already: accepted at" in capsys.readouterr().err) == (Exit.FAILURE, True)

    assert main(["baseline", "list", "loans", "--json"]) == Exit.OK
    newest, first = json.loads(capsys.readouterr().out)
    assert (newest["built_from"]["columns"], newest["accepts"][0]["reason"]) == (["amount"], "the EU launch")
    assert newest["follows"] == first["definition_hash"]

    assert main(["baseline", "undo", "loans"]) == Exit.OK
    watched.take_up()
    assert watched.log.stamped.definition.baseline_hash == first["baseline_hash"]

    built = ["baseline", "build", str(config), "--model", "loans", "--from-log", "--since", "2023-12-01T00:00:00Z"]
    assert main([*built, "--publish", "--json"]) == Exit.OK
    watched.take_up()
    published = watched.log.stamped.definition
    assert published.built_from is not None
    assert published.built_from.since == "2023-12-01T00:13:20.000Z"
    assert published.baseline_hash == json.loads(capsys.readouterr().out.splitlines()[-1])["loans"]["hash"]
