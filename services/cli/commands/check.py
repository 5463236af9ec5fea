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
    every_row: Annotated[bool, typer.Option("--all", help="Show every row of long tables.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Write the result as JSON; it holds everything.")] = False,
) -> None:
    """Validate the configuration and its references, and foretell what each model would be told of."""
    configuration = read_configuration(config)
    from services.cli import foretold, rehearsed, tables
    from services.cli.adapters.baselines import baseline_of, reference_of
    from services.cli.armed import estimated, heading, quality, report, warming_up
    from services.detector.forecast import forecast
    from services.detector.state_size import state_size

    warming = {name: spec for name, spec in configuration.monitors.models.items() if spec.warm_up is not None}
    models = {}
    for name, spec in configuration.monitors.models.items():
        if name in warming:
            continue
        baseline = baseline_of(configuration, name, spec)
        reference = reference_of(configuration, name, spec)
        found = report(baseline, rehearsed.rehearsals(name, spec, baseline, reference))
        models[name] = (spec, found, forecast(baseline, spec), state_size(baseline, spec, reference))
    if as_json:
        output.result_json(
            {
                "ok": True,
                "warming_up": {name: spec.warm_up for name, spec in warming.items()},
                "models": {
                    name: {
                        "label_horizon": spec.label_horizon,
                        "false_pages_per_month": spec.alerts.false_pages_per_month,
                        "baseline": found,
                        "forecast": foreseen,
                        "state": state,
                    }
                    for name, (spec, found, foreseen, state) in models.items()
                },
            }
        )
        return
    for name, (spec, found, foreseen, state) in models.items():
        output.result(heading(name, found))
        for listing in (foretold.cells(foreseen), foretold.binding(foreseen), quality(found)):
            output.result("")
            tables.show(listing if every_row else listing.cut())
        output.result("")
        labels = f"labels: joined within {spec.label_horizon}"
        for sentence in (
            *foretold.sentences(foreseen, state),
            labels,
            estimated(found),
            *rehearsed.sentences((*found.rules, *found.detectors)),
            *found.warnings,
        ):
            output.result(sentence)
        output.result("")
    for name, spec in warming.items():
        output.result(warming_up(name, spec))
        output.result("")
    output.result(f"{config}: valid")
