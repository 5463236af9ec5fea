from __future__ import annotations

import io

import msgspec
from rich.console import Console

from services.cli.demo.naive_table import Comparison, PageCount, compare, lines, show, verdicts

PAGES: dict[str, dict[str, list[int]]] = {
    "PSI > 0.1": {"loan": [100, 24_999, 25_000], "bikes": [5]},
    "ADWIN": {"loan": list(range(25_000, 27_000)), "bikes": []},
    "Driftline": {"loan": [25_100], "bikes": [300]},
}


def comparison(pages: dict[str, dict[str, list[int]]] | None = None, days: float = 70.0) -> Comparison:
    return compare(
        PAGES if pages is None else pages,
        changes={"loan": 25_000},
        stream_days={"loan": days, "bikes": 7.0},
        window_rows=1_000,
    )


def test_pages_below_the_row_of_the_change_came_before_it() -> None:
    psi, _, _ = comparison().rules

    assert psi.models["loan"] == PageCount(pages=3, before_change=2, per_week=0.3)
    assert psi.models["loan"].after_change == 1


def test_where_no_change_is_known_nothing_is_said_to_be_before_it() -> None:
    psi, _, _ = comparison().rules

    assert psi.models["bikes"] == PageCount(pages=1, before_change=None, per_week=1.0)


def test_a_stream_without_length_has_no_pages_a_week() -> None:
    psi, _, _ = comparison(days=0.0).rules

    assert psi.models["loan"].per_week is None


def test_the_table_has_a_line_for_each_rule_and_driftline_last() -> None:
    assert list(lines(comparison())) == [
        "            loan  before the change  a week  bikes  a week",
        "PSI > 0.1      3                  2    0.30      1    1.00",
        "ADWIN      2,000                  0  200.00      0    0.00",
        "Driftline      1                  0    0.10      1    1.00",
    ]


def test_the_verdict_counts_rules_and_their_pages_on_both_sides_of_the_change() -> None:
    assert list(verdicts(comparison())) == [
        "On loan 1 of 2 naive rules paged before anything had changed (row 25,000), one of them 2 times, and after that"
        " each paged 1 to 2,000 times; Driftline paged 0 times before and 1 after."
    ]


def test_the_verdict_of_rules_that_do_well_says_so() -> None:
    pages = {**PAGES, "PSI > 0.1": {"loan": [25_999], "bikes": []}, "Driftline": {"loan": [7], "bikes": []}}

    assert list(verdicts(comparison(pages))) == [
        "On loan no naive rule paged before anything had changed (row 25,000), and after that"
        " each paged 1 to 2,000 times; Driftline paged 1 times before and 0 after."
    ]


def test_a_terminal_and_a_pipe_get_the_same_numbers() -> None:
    written = {}
    for is_terminal in (True, False):
        console = Console(file=io.StringIO(), width=200, force_terminal=is_terminal, no_color=True)
        with console.capture() as shown:
            show(comparison(), console)
        written[is_terminal] = shown.get()

    assert "ADWIN      2,000                  0  200.00      0    0.00\n" in written[False]
    for text in written.values():
        assert "2,000" in text
        assert "before the change" in text
        assert text.endswith("Driftline paged 0 times before and 1 after.\n")


def test_the_comparison_survives_json() -> None:
    written = msgspec.json.encode(comparison())

    assert msgspec.json.decode(written, type=Comparison) == comparison()
