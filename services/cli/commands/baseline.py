"""`driftline baseline build`: what a reference is good for, before anything runs on it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from services.cli import output
from services.cli.adapters.environment import settings
from services.cli.configuration import read_configuration


def register(app: typer.Typer) -> None:
    """Add `baseline build`."""
    baseline = typer.Typer(help="Baselines: what each model's reference looks like.", no_args_is_help=True)
    baseline.command("build")(build)
    baseline.callback()(_group)
    app.add_typer(baseline, name="baseline")


def _group() -> None:
    """Baselines: what each model's reference looks like."""


def build(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="driftline.yaml")],
    model: Annotated[str | None, typer.Option(help="Only this model.")] = None,
    out: Annotated[
        Path | None,
        typer.Option(file_okay=False, help="Also write MODEL.baseline files here; nothing else is written."),
    ] = None,
    publish: Annotated[
        bool,
        typer.Option(
            "--publish", help="Also write to driftline.control what it lacks; services then need no reference file."
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Write the result as JSON.")] = False,
) -> None:
    """Build baselines and say which columns may page on them, which not, and why."""
    configuration = read_configuration(config)
    specs = configuration.monitors.models if model is None else {model: configuration.model(model)}
    from services.cli.adapters import hosting
    from services.cli.adapters.baselines import baseline_of
    from services.cli.armed import report, report_lines
    from services.detector.baseline import encode

    if publish:
        hosting.check_topics(settings(), configuration)
    reports, baselines = {}, {}
    for name, spec in specs.items():
        baseline = baselines[name] = baseline_of(configuration, name, spec)
        reports[name] = report(baseline)
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)
            # A model's name may hold `/` and `:`, a file's name may not.
            (out / f"{name.replace('/', '_').replace(':', '_')}.baseline").write_bytes(encode(baseline))
        if not as_json:
            for text in report_lines(name, reports[name]):
                output.result(text)
    if publish:
        hosting.publish(settings(), specs, lambda name, _: baselines[name], rebuild=True)
    if as_json:
        output.result_json(reports)
