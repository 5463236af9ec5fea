"""Another tool's verdicts on one window, timed by itself; run by the interpreter of `environment.py`.

    python script.py evidently|nannyml REFERENCE.parquet WINDOW.parquet

It loads the tables, prepares the tool as its pages say, asks for verdicts and writes a line of JSON: how long the call
took, and for how many columns there was a verdict. Then it does so again for each line that it reads. That interpreter
reads no other file of the project: nothing of it can be imported here.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any

import pandas as pd

Verdicts = Callable[[], Any]
Judged = Callable[[Any], int]  # the columns that have a verdict


def evidently(reference: pd.DataFrame, window: pd.DataFrame) -> tuple[Verdicts, Judged]:
    """Return the data drift preset with its defaults; it compares two tables, and reads both in every call."""
    tool, presets = import_module("evidently"), import_module("evidently.presets")
    numeric = reference.select_dtypes("number").columns.tolist()
    definition = tool.DataDefinition(
        numerical_columns=numeric, categorical_columns=[name for name in reference if name not in numeric]
    )
    before = tool.Dataset.from_pandas(reference, data_definition=definition)

    def verdicts() -> Any:
        here = tool.Dataset.from_pandas(window, data_definition=definition)
        return tool.Report([presets.DataDriftPreset()]).run(here, before)

    def judged(found: Any) -> int:
        return sum(metric["metric_name"].startswith("ValueDrift") for metric in found.dict()["metrics"])

    return verdicts, judged


def nannyml(reference: pd.DataFrame, window: pd.DataFrame) -> tuple[Verdicts, Judged]:
    """Return the univariate calculator, fitted, with the window as one chunk."""
    tool = import_module("nannyml")
    numeric = reference.select_dtypes("number").columns.tolist()
    calculator = tool.UnivariateDriftCalculator(
        column_names=reference.columns.tolist(),
        treat_as_categorical=[name for name in reference if name not in numeric],
        continuous_methods=["jensen_shannon", "kolmogorov_smirnov"],
        categorical_methods=["jensen_shannon"],
        chunk_size=len(window),
    )
    calculator.fit(reference)

    def judged(found: Any) -> int:
        table = found.filter(period="analysis", methods=["jensen_shannon"]).to_df()
        return sum(name[-1] == "alert" for name in table.columns)

    return lambda: calculator.calculate(window), judged


def main(name: str, reference: str, window: str) -> None:
    """Answer until nothing is asked any more."""
    tables = pd.read_parquet(reference), pd.read_parquet(window)
    verdicts, judged = {"evidently": evidently, "nannyml": nannyml}[name](*tables)
    while True:
        begun = time.perf_counter()
        found = verdicts()
        seconds = time.perf_counter() - begun
        sys.stdout.write(json.dumps({"seconds": seconds, "columns": judged(found)}) + "\n")
        sys.stdout.flush()
        if not sys.stdin.readline():
            return


if __name__ == "__main__":
    main(*sys.argv[1:])
