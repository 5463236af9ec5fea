"""`driftline baseline build`: what a reference is good for, before anything runs on it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli import output
from services.cli.adapters.environment import actor, settings
from services.cli.commands import acceptance, warm_up
from services.cli.commands.actor_option import ActorOption
from services.cli.configuration import read_configuration
from shared.acts import ActKind
from shared.errors import Malformed
from shared.values import parse_ts

if TYPE_CHECKING:
    from services.detector.log_reference import Range


def register(app: typer.Typer) -> None:
    """Add `baseline build`, and what `acceptance` and `warm_up` add."""
    baseline = typer.Typer(help="Baselines: what each model's reference looks like.", no_args_is_help=True)
    baseline.command("build")(build)
    acceptance.register(baseline)
    warm_up.register(baseline)
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
    from_log: Annotated[
        bool,
        typer.Option("--from-log", help="Build from rows of driftline.observations, not from the reference."),
    ] = False,
    since: Annotated[
        str | None, typer.Option(metavar="TS", help="With --from-log: the first `ts`, RFC 3339; else all that is kept.")
    ] = None,
    until: Annotated[str | None, typer.Option(metavar="TS", help="With --from-log: up to this `ts`.")] = None,
    version: Annotated[str | None, typer.Option(help="With --from-log: only rows of this model version.")] = None,
    by: ActorOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write the result as JSON.")] = False,
) -> None:
    """Build baselines and say which columns may page on them, which not, and why."""
    wanted = _range(model, since, until, version) if from_log else None
    if wanted is None and (since, until, version) != (None, None, None):
        raise typer.BadParameter("--since, --until and --version go with --from-log")
    configuration = read_configuration(config)
    specs = configuration.monitors.models if model is None else {model: configuration.model(model)}
    from services.cli import rehearsed, tables
    from services.cli.adapters import hosting
    from services.cli.adapters.baselines import baseline_of, reference_of
    from services.cli.adapters.log_baselines import built_from_log
    from services.cli.armed import heading, report, self_test, warming_up
    from services.cli.publication import Publication, standing

    if publish:
        hosting.check_topics(settings(), configuration)
    reports, publications = {}, []
    for name, spec in specs.items():
        if wanted is None and spec.warm_up is not None:
            publications.append(Publication.warming_up(name, spec))
            output.message(warming_up(name, spec))
            continue
        if wanted is None:
            baseline = baseline_of(configuration, name, spec)
            reference = reference_of(configuration, name, spec)
            tried = rehearsed.rehearsals(name, spec, baseline, reference)
            publications.append(Publication.of(name, spec, baseline))
        else:
            built = built_from_log(settings(), name, spec, wanted)
            baseline, tried = built.baseline, rehearsed.NOTHING_TRIED
            publications.append(built.publication)
            if built.left_out:
                output.message(f"{name}: the newest {baseline.rows:,} rows are used; {built.left_out:,} are older")
        reports[name] = report(baseline, tried)
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)
            # A model's name may hold `/` and `:`, a file's name may not.
            (out / f"{name.replace('/', '_').replace(':', '_')}.baseline").write_bytes(publications[-1].baseline)
        if not as_json:
            output.result(heading(name, reports[name]))
            tables.show(self_test(reports[name]))
            for sentence in (
                *rehearsed.sentences((*reports[name].rules, *reports[name].detectors)),
                *reports[name].warnings,
            ):
                output.result(sentence)
            output.result("")
    if publish:
        hosting.publish(
            settings(),
            lambda catalogue: [standing(catalogue, found) for found in publications],
            ActKind.PUBLISH,
            actor(by),
        )
    if as_json:
        output.result_json(reports)


def _range(model: str | None, since: str | None, until: str | None, version: str | None) -> Range:
    from services.detector.log_reference import Range

    if model is None:
        raise typer.BadParameter("--from-log is about one model; name it with --model")
    return Range(_time("--since", since), _time("--until", until), version or "")


def _time(option: str, text: str | None) -> int | None:
    try:
        return None if text is None else parse_ts(text)
    except Malformed as exc:
        raise typer.BadParameter(exc.detail, param_hint=option) from exc
