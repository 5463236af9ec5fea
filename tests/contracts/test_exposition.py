"""What Prometheus reads of every service, judged by its own tool."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest

from shared.adapters.health import serving_health
from shared.adapters.memory import ManualClock
from shared.progress import Progress
from shared.services import SERVICES
from shared.settings import Settings
from tests.kit.pipeline import Pipeline, monitored
from tests.kit.probing import Probed, complaints
from tests.kit.repository import ROOT

PAGE = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    """Every service, after events of all sorts."""
    found = Pipeline(monitored(loan={}))
    for number in range(20):
        found.predict(request_id=f"{number}")
        found.label(request_id=f"{number}")
    found.raw_prediction(b"garbage")
    found.raw_label(b'{"model": "\\"\\n", "request_id": "x"}')
    found.run()
    return found


@pytest.fixture(params=SERVICES)
def served(pipeline: Pipeline, request: pytest.FixtureRequest) -> Iterator[Probed]:
    """One service's health."""
    progress = Progress(ManualClock(1_750_000_000_000))
    progress.watch(partial(pipeline.measures, request.param))
    progress.turned()
    with serving_health(request.param, Settings(health_port=0), progress) as (_, port):
        yield Probed(port)


def test_prometheus_has_nothing_to_say_against_it(served: Probed) -> None:
    assert complaints(served.metrics()) == ""


def test_what_a_scrape_shows_is_on_the_page(served: Probed) -> None:
    assert [name for name in served.samples() if f"| `driftline_{name}` |" not in PAGE] == []


def test_prometheus_would_say_it() -> None:
    assert "counter metrics should have" in complaints("# HELP x X.\n# TYPE x counter\nx 1\n")
