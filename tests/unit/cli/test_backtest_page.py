"""The page that a backtest leaves to look at."""

from __future__ import annotations

from collections.abc import Sequence
from html.parser import HTMLParser

import msgspec

from services.cli.backtest.page import page
from services.cli.backtest.summary import Armed, ModelSummary, Summary
from services.detector.performance.metrics.value import Value, undefined
from services.detector.report import CohortRow, ListSink
from shared.events.alert import Incident, Severity
from tests.kit.alerts import culprit, incident
from tests.kit.traffic import Log, fold_of, folded, rows

ROWS = 3_000


class Read(HTMLParser):
    """What a browser finds in a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002 - only which
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.words.append(data.strip())


def windows() -> ListSink:
    log, sink = Log(rows(ROWS)), ListSink()
    log.serve(0, ROWS)
    folded(fold_of(sink=sink), log.records)
    return sink


def cohort(**metrics: Value) -> CohortRow:
    return CohortRow(
        model="loans",
        model_version="v1",
        segment="all",
        cohort_start_row=0,
        cohort_end_row=999,
        n_predicted=1_000,
        n_labelled=1_000,
        coverage=1.0,
        state="final",
        metrics=metrics,
    )


def summary(incidents: Sequence[Incident] = (), *, not_armed: dict[str, str] | None = None) -> Summary:
    armed = Armed(0.8, 0.25)
    model = ModelSummary(
        model="loans", model_version="v1", rows_served=ROWS, rows_labelled=678, armed=armed, not_armed=not_armed or {}
    )
    return Summary(
        counts={},
        dead_letters={"json": 1_234},
        models=[model],
        armed=armed,
        incidents=list(incidents),
        incidents_of_rules=0,
        states={found.incident_id: "open" for found in incidents},
        events={},
        seconds=1.25,
    )


def alarm(text: str = "amount moved") -> Incident:
    told = incident(model="loans", severity=Severity.CRITICAL, culprits=[culprit("amount")])
    return msgspec.structs.replace(told, model_version="v1", summary=text)


def test_a_page_says_what_was_told_and_what_does_not_page() -> None:
    read = Read(page(summary([alarm()], not_armed={"age": "unsteady"}), windows(), []))

    assert {"critical", "data_drift", "open", "12,100", "12,999", "amount moved", "investigate"} <= set(read.words)
    assert {"age", "unsteady", "json", "1,234"} <= set(read.words)


def test_columns_are_drawn_that_moved_and_detections_are_marked() -> None:
    found = page(summary([alarm()]), windows(), [])

    assert found.count('class="detected"') == 1
    assert "<figcaption>amount</figcaption>" in found
    assert Read(found).tags.count("svg") == found.count("<figcaption>") > 1


def test_metrics_are_drawn_that_have_a_value() -> None:
    cohorts = [cohort(accuracy=Value(0.9, 0.87, 0.92), f1=undefined("no labels"), tp=Value(7.0))]

    found = page(summary(), ListSink(), cohorts)

    assert "<figcaption>accuracy</figcaption>" in found
    assert found.count("<figcaption>") == found.count('class="band"') == 1


def test_a_quiet_backtest_says_so() -> None:
    read = Read(page(summary(), ListSink(), []))

    assert "No incident." in read.words
    assert "svg" not in read.tags


def test_names_from_events_are_words_and_nothing_is_fetched_or_run() -> None:
    found = page(
        summary([alarm("<script>alert(1)</script>")], not_armed={"<img src=x>": '"><svg onload=x>'}), ListSink(), []
    )

    read = Read(found)
    assert "<script>alert(1)</script>" in read.words
    assert not {"script", "img", "svg", "link", "iframe"} & set(read.tags)
    assert "default-src 'none'" in found
