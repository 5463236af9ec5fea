"""`driftline check` on the recorded car loans, and what the pages show of it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from services.cli.__main__ import main
from services.cli.demo import sets
from services.cli.exits import Exit
from tests.kit.pages import PAGES, examples_in
from tests.kit.references import loans

SERIES_OF_LABELS = 5  # three of errors, whether scores rank, and whether they mean what they say
CAR_LOAN = str(sets.folder("car_loan") / "driftline.yaml")


def rows_of(text: str) -> list[list[str]]:
    """Return lines without their alignment, which depends on the longest text of a column."""
    return [re.split(" {2,}", line) for line in text.splitlines()]


def test_what_the_page_shows_of_a_check_is_what_it_prints(capsys: pytest.CaptureFixture[str]) -> None:
    (shown,) = [text for text in examples_in(PAGES["docs/configure.md"], "") if text.startswith("column ")]

    code = main(["check", CAR_LOAN, "--all"])

    printed = capsys.readouterr().out
    assert code == Exit.OK
    assert [row for row in rows_of(shown) if row not in rows_of(printed)] == []
    assert printed.splitlines()[-1] == f"{CAR_LOAN}: valid"


def test_json_holds_every_cell_that_the_table_leaves_out(capsys: pytest.CaptureFixture[str]) -> None:
    codes = [main(["check", CAR_LOAN]), main(["check", CAR_LOAN, "--json"])]

    *table, document = capsys.readouterr().out.splitlines()
    model = json.loads(document)["models"]["car_loan"]
    columns, cells = len(model["baseline"]["columns"]), len(model["baseline"]["cells"])
    assert codes == [Exit.OK, Exit.OK]
    assert len(model["forecast"]["cells"]) == columns * cells + SERIES_OF_LABELS
    assert f"... and {columns * cells + SERIES_OF_LABELS - 20} more: --all" in table
    assert model["forecast"]["false_pages"]["promised"] == model["false_pages_per_month"] == 2.0


def test_a_configuration_that_hashes_needs_a_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pq.write_table(loans(), tmp_path / "loans.parquet")
    (tmp_path / "driftline.yaml").write_text(
        "models: {loan: {task: binary, positive_class: 1, reference: loans.parquet, features: {region: {hash: true}}}}"
    )

    without = main(["check", str(tmp_path / "driftline.yaml")])
    monkeypatch.setenv("DRIFTLINE_ID_KEY", "a key")
    with_one = main(["check", str(tmp_path / "driftline.yaml")])

    assert (without, with_one) == (Exit.CONFIGURATION, Exit.OK)
    assert capsys.readouterr().err.splitlines()[0] == (
        "driftline: DRIFTLINE_ID_KEY: is empty, and models.loan.features.region is `hash: true`"
    )
