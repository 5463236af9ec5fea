"""`python -m tests.faults.undisturbed`: the demo among faults finds what it finds without them. Exit 1 if not.

Ids, positions and heartbeats depend on the log that a run wrote, and may differ. Counts and incidents may not.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Annotated, Any

import typer

COUNTS = {"predictions": ("produced", "observed", "dead_lettered"), "labels": ("produced", "joined", "dead_lettered")}


def compare(rows: Annotated[int | None, typer.Option(min=1, help="Of each model; without it, all.")] = None) -> None:
    """Run the demo twice, the second time with --chaos, and compare what came of it."""
    undisturbed, disturbed = demo(rows), demo(rows, "--chaos")
    typer.echo(f"blows: {', '.join(disturbed['chaos']['blows'])}")
    typer.echo(f"verify says {disturbed['chaos']['verified']}; {disturbed['chaos']['copies']:,} copies dropped")
    found = [*differences(found_of(undisturbed), found_of(disturbed))]
    for text in found or ["counts and incidents are those of the undisturbed run:", *lines(found_of(disturbed))]:
        typer.echo(text)
    if found or disturbed["chaos"]["verified"] != "clean" or not disturbed["balanced"]:
        raise typer.Exit(1)


def demo(rows: int | None, *options: str) -> dict[str, Any]:
    """Return the summary of a run."""
    limit = [] if rows is None else ["--rows", str(rows)]
    command = [sys.executable, "-m", "services.cli", "demo", "--json", *limit, *options]
    ran = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if not ran.stdout:
        raise typer.Exit(1)
    summary: dict[str, Any] = json.loads(ran.stdout)
    return summary


def found_of(summary: dict[str, Any]) -> dict[str, Any]:
    """Return what must not depend on faults."""
    found: dict[str, Any] = {"retrainings accepted": summary["retrainings_accepted"]}
    for model, said in summary["models"].items():
        found |= {f"{model}: {kind} {fate}": said[kind][fate] for kind, fates in COUNTS.items() for fate in fates}
        incidents = sorted([incident["kind"], sorted(incident["culprits"])] for incident in said["incidents"])
        found[f"{model}: incidents"] = incidents
    return found


def differences(undisturbed: dict[str, Any], disturbed: dict[str, Any]) -> list[str]:
    """Return a line for each thing that is another one among faults."""
    return [
        f"DIFFERENT: {what}: {wanted}, among faults {disturbed.get(what)}"
        for what, wanted in undisturbed.items()
        if disturbed.get(what) != wanted
    ]


def lines(found: dict[str, Any]) -> list[str]:
    """Return what was found, for people."""
    return [f"  {what}: {value}" for what, value in found.items()]


if __name__ == "__main__":
    typer.run(compare)
