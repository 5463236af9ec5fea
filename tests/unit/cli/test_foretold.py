"""What `driftline check` and `driftline baseline build` say to a person."""

from __future__ import annotations

from functools import cache

import msgspec
import pytest

from services.cli.armed import BaselineReport, ColumnReport, estimated, quality, report, self_test
from services.cli.foretold import binding, cells, sentences, shift, size
from services.cli.tables import MOST_ROWS, Listing, lines
from services.detector.baseline_build import build_baseline
from services.detector.forecast import Binding, CellForecast, FalsePages, Forecast
from services.detector.outlook.series import Sight
from services.detector.state_size import StateSize
from tests.kit.references import loans, spec

AMOUNT = CellForecast(
    name="amount",
    segment="all",
    kind="numeric",
    armed=["psi", "page_hinkley"],
    why_not={"adwin": "alarms on the reference itself"},
    finds={"psi": Sight(psi=0.101, sd=0.327), "page_hinkley": Sight(psi=0.0978, sd=0.32)},
    found_by="page_hinkley",
    smallest=Sight(psi=0.0978, sd=0.32),
)
RARE = CellForecast(
    name="region",
    segment="channel=web",
    kind="categorical",
    armed=["psi"],
    why_not={},
    finds={},
    why_blind="500 rows take 2.5 weeks, then PSI 0.10",
)
THIN = CellForecast(
    name="region", segment="channel=branch", kind="categorical", armed=[], why_not={"psi": "is thin"}, finds={}
)
FORECAST = Forecast(
    false_pages=FalsePages(promised=2.0, expected=0.05, is_bound=True),
    kinds={
        "windows": FalsePages(promised=1.3, expected=1e-9, is_bound=False),
        "adwin": FalsePages(promised=0.1, expected=0.05, is_bound=True),
    },
    binding=[
        Binding(detector="psi", scope="all traffic", kind="numeric", armed=9, gate=9, budget=0),
        Binding(detector="psi", scope="segments", kind="numeric", armed=1_200, gate=1_150, budget=50),
        Binding(detector="adwin", scope="all traffic", kind="numeric", armed=1, gate=0, budget=0),
    ],
    cells=[AMOUNT, RARE, THIN],
)
COLUMN = ColumnReport(
    name="temp",
    role="feature",
    kind="numeric",
    bins=10,
    is_armed=False,
    why_not="unsteady: its own windows differ by PSI up to 5.5",
    is_season_bound=False,
    is_unsteady=True,
    phi=268.171,
    peak_psi=5.494,
    cells_armed=1,
    cells=8,
    cells_why_not={"unsteady: by PSI up to 7.2": 3, "unsteady: by PSI up to 5": 2, "unsteady on all traffic": 2},
)


@cache
def loans_report() -> BaselineReport:
    return report(build_baseline("loans", spec(), loans(2_000)))


def rows_of(columns: list[ColumnReport], monitors: dict[str, str]) -> list[list[str]]:
    found = msgspec.structs.replace(loans_report(), columns=columns, error_monitors=monitors)
    return [list(row) for row in self_test(found).rows]


def test_a_cell_says_what_it_finds_by_which_detector_and_which_may_page() -> None:
    assert [list(row) for row in cells(FORECAST).rows] == [
        [
            "amount",
            "all",
            "numeric",
            "0.32 sd (PSI 0.10)",
            "page_hinkley",
            "psi, page_hinkley",
        ],
        ["region", "channel=web", "categorical", "500 rows take 2.5 weeks, then PSI 0.10", "-", "psi"],
        ["region", "channel=branch", "categorical", "-", "-", "no: is thin"],
    ]


def test_a_column_without_windows_says_why_though_others_watch_it() -> None:
    unsteady = msgspec.structs.replace(AMOUNT, armed=["page_hinkley"], why_not={"psi": "is thin", "adwin": "alarms"})

    (row,) = cells(msgspec.structs.replace(FORECAST, cells=[unsteady])).rows

    assert row[-1] == "page_hinkley; not psi: is thin"


def test_a_gate_of_its_own_is_told_of_a_column() -> None:
    (row,) = cells(msgspec.structs.replace(FORECAST, cells=[msgspec.structs.replace(AMOUNT, gate=0.25)])).rows

    assert row[-1] == "psi, page_hinkley; gate 0.25"


@pytest.mark.parametrize(
    ("sight", "text"),
    [
        (Sight(psi=0.101), "PSI 0.10"),
        (Sight(sd=0.32), "0.32 sd"),
        (Sight(rate=0.0944, reference_rate=0.0563), "rate 0.056 to 0.094"),
    ],
)
def test_a_shift_is_told_in_the_terms_that_it_has(sight: Sight, text: str) -> None:
    assert shift(sight) == text


def test_what_binds_is_one_word_unless_both_do() -> None:
    assert [list(row) for row in binding(FORECAST).rows] == [
        ["psi", "all traffic", "numeric", "9", "gate"],
        ["psi", "segments", "numeric", "1,200", "gate 1,150, budget 50"],
        ["adwin", "all traffic", "numeric", "1", "-"],
    ]


def test_the_promise_and_the_cost_are_two_sentences() -> None:
    state = StateSize(bytes=1_900_000, series=171, bytes_per_series=893.4)

    assert list(sentences(FORECAST, state)) == [
        "false pages a month: promise <= 2, expected <= 0.05 (windows < 0.01, adwin <= 0.05)",
        "state: 1.9 MB for each version of the model, and more with its labels; 171 series, 893 B each",
    ]


@pytest.mark.parametrize(
    ("count", "text"), [(999, "999 B"), (1_000, "1.0 kB"), (572_616, "572.6 kB"), (2.5e9, "2.5 GB")]
)
def test_bytes_are_said_in_the_largest_unit_that_they_fill(count: float, text: str) -> None:
    assert size(count) == text


def test_a_long_table_is_cut_and_says_how_to_see_the_rest() -> None:
    long = Listing(("n",), [(str(number),) for number in range(250)])

    shown = list(lines(long.cut()))

    assert (len(shown), shown[-1]) == (MOST_ROWS + 2, "... and 230 more: --all")
    assert len(list(lines(long))) == 251


def test_a_table_that_fits_is_not_cut() -> None:
    short = Listing(("column", "n"), [("a", "1"), ("longer than it", "2")])

    assert list(lines(short.cut())) == ["column          n", "a               1", "longer than it  2"]


def test_the_self_test_has_a_row_for_each_column_and_each_monitor() -> None:
    steady = msgspec.structs.replace(COLUMN, name="hour", why_not="", phi=1.0, peak_psi=-0.004, cells_why_not={})

    assert rows_of([COLUMN, steady], {"error": "", "signed_residual": "unsteady"}) == [
        ["temp", "numeric", "10", "268.17", "5.49", "1 of 8 (5 unsteady, 2 unsteady on all traffic)", COLUMN.why_not],
        ["hour", "numeric", "10", "1.00", "0.00", "1 of 8", "ok"],
        ["error", "performance", "", "", "", "", "ok"],
        ["signed_residual", "performance", "", "", "", "", "unsteady"],
        ["estimates", "performance", "", "", "", "", "ok"],
    ]


@pytest.mark.parametrize(
    ("why", "said"),
    [
        ("", "estimates before labels come: yes"),
        ("the reference has no scores", "estimates before labels come: none, the reference has no scores"),
    ],
)
def test_whether_there_are_estimates_is_said_and_why_not(why: str, said: str) -> None:
    found = msgspec.structs.replace(loans_report(), estimates=why)

    assert estimated(found) == said
    assert list(self_test(found).rows)[-1] == ("estimates", "performance", "", "", "", "", why or "ok")


def test_a_column_without_windows_to_compare_has_no_scatter() -> None:
    untested = msgspec.structs.replace(COLUMN, why_not="reference has no ts", phi=1.0, peak_psi=0.0, cells_why_not={})

    assert rows_of([untested], {})[0][3:5] == ["-", "-"]


def test_a_share_of_rows_that_does_not_page_says_why() -> None:
    reasons = {"a": "x", "b": "y", "c": "", "d": "z", "e": "z"}
    found = msgspec.structs.replace(loans_report(), quality={"missing_rate": {"age": ""}, "outlier_rate": reasons})

    assert quality(found).rows == [
        ("missing_rate", "1 of 1", "-"),
        ("outlier_rate", "1 of 5", "a: x, b: y, d: z and 1 more"),
    ]
