from __future__ import annotations

from pathlib import Path

import pyarrow.parquet
import pytest

from services.detector.adapters.reference_file import read_reference
from services.detector.baseline_build import build_baseline
from shared.errors import ConfigurationError
from tests.kit.references import loans, spec


def test_csv_and_parquet_of_the_same_rows_give_the_same_baseline(tmp_path: Path) -> None:
    data = loans(2_000)
    pyarrow.parquet.write_table(data, tmp_path / "r.parquet")
    pyarrow.csv.write_csv(data, tmp_path / "r.csv")

    found = [
        build_baseline("loans", spec(segments=["channel"]), read_reference(tmp_path / name, "loans"))
        for name in ("r.parquet", "r.csv")
    ]

    assert found[0].hash == found[1].hash


def test_empty_fields_and_na_are_missing(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text("age,city\n31,Bern\n,\nNA,NA\n")

    assert read_reference(tmp_path / "r.csv", "m").to_pydict() == {
        "age": [31, None, None],
        "city": ["Bern", None, None],
    }


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("absent.parquet", None, "cannot be read: No such file"),
        ("r.xlsx", b"PK", "neither .parquet nor .csv"),
        ("r.parquet", b"not parquet at all", "is damaged"),
        ("r.csv", b"a,b\n1\n", "is damaged"),
    ],
)
def test_a_file_that_cannot_be_read_names_the_models_reference(
    tmp_path: Path, name: str, content: bytes | None, message: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)

    with pytest.raises(ConfigurationError, match=message) as refused:
        read_reference(tmp_path / name, "loans")

    assert refused.value.path == "models.loans.reference"
