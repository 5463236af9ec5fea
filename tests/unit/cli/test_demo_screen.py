from __future__ import annotations

import io

import msgspec
from rich.console import Console

from services.cli.demo.account import Account, Labels, Predictions
from services.cli.demo.display import LiveDisplay, PlainDisplay, display
from services.cli.demo.findings import IncidentLine
from services.cli.demo.screen import Sight, line, news, table

INCIDENT = IncidentLine(
    incident_id="i",
    model="m",
    kind="data_drift",
    severity="warning",
    event="opened",
    state="open",
    onset="2019-03-31T03:00:00.000Z",
    detected="2019-03-31T09:00:00.000Z",
    detected_row=25_100,
    culprits=["car_value", "driver_tenure in repaid_before=yes"],
    summary="",
)


def sight(seconds: float = 12.0, incidents: list[IncidentLine] | None = None) -> Sight:
    account = Account(predictions=Predictions(produced=1_500, observed=1_400), labels=Labels(produced=900, joined=800))
    return Sight(seconds, {"m": 3.4}, {"m": account}, {"joiner": 7, "detector": 2}, incidents or [], 1)


def test_a_line_says_how_far_everything_is() -> None:
    assert line(sight()) == "   12 s  m 3 d, 1,400 observed, 800 joined; 9 records behind"


def test_an_incident_is_news_when_it_is_new_and_when_it_changes() -> None:
    resolved = msgspec.structs.replace(INCIDENT, event="resolved")
    text = "m data_drift {}, since 2019-03-31: car_value, driver_tenure in repaid_before=yes"

    assert list(news(None, sight(incidents=[INCIDENT]))) == [f"warning {text.format('opened')}"]
    assert list(news(sight(incidents=[INCIDENT]), sight(incidents=[INCIDENT]))) == []
    assert list(news(sight(incidents=[INCIDENT]), sight(incidents=[resolved]))) == [
        f"warning {text.format('resolved')}"
    ]


def test_the_table_shows_models_lag_and_incidents() -> None:
    console = Console(file=io.StringIO(), width=120)
    with console.capture() as shown:
        console.print(table(sight(incidents=[INCIDENT])))

    text = shown.get()
    assert "1,400" in text
    assert "behind: joiner 7  detector 2" in text
    assert "car_value, driver_tenure in repaid_before=yes" in text


def test_without_a_terminal_counts_come_every_five_seconds_and_incidents_at_once() -> None:
    written = io.StringIO()
    console = Console(file=written, width=200)

    with PlainDisplay(console) as plain:
        plain.step("Starting")
        plain.show(sight(seconds=1.0))
        plain.show(sight(seconds=2.0, incidents=[INCIDENT]))
        plain.show(sight(seconds=6.5, incidents=[INCIDENT]))

    beginnings = [text.split()[:2] for text in written.getvalue().splitlines()]
    assert beginnings == [["Starting"], ["1", "s"], ["warning", "m"], ["6", "s"]]


def test_only_a_terminal_gets_the_live_table() -> None:
    assert type(display(Console(file=io.StringIO(), force_terminal=True))) is LiveDisplay
    assert type(display(Console(file=io.StringIO(), force_terminal=False))) is PlainDisplay
