"""`driftline check`: everything that can be known to be wrong before anything runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from services.cli import output
from services.cli.configuration import read_configuration


def register(app: typer.Typer) -> None:
    """Add `check`."""
    app.command("check")(check)


def check(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="driftline.yaml")],
    as_json: Annotated[bool, typer.Option("--json", help="Write the result as JSON.")] = False,
) -> None:
    """Validate the configuration and its references, and say what each model would be watched for."""
    configuration = read_configuration(config)
    from services.cli.adapters.baselines import baseline_of
    from services.cli.armed import report, report_lines

    models = {
        name: (spec, report(baseline_of(configuration, name, spec)))
        for name, spec in configuration.monitors.models.items()
    }
    if as_json:
        output.result_json(
            {
                "ok": True,
                "models": {
                    name: {
                        "label_horizon": spec.label_horizon,
                        "false_pages_per_month": spec.alerts.false_pages_per_month,
                        "baseline": found,
                    }
                    for name, (spec, found) in models.items()
                },
            }
        )
        return
    for name, (spec, found) in models.items():
        for text in report_lines(name, found):
            output.result(text)
        output.result(
            f"  budget: {spec.alerts.false_pages_per_month:g} false pages a month expected;"
            f" labels join within {spec.label_horizon}"
        )
    output.result(f"{config}: valid")
