"""Lets libFuzzer change whole bytes until a decoder takes paths that it has not taken before, a process for each.

`python -m tests.hostile.guided` gives every decoder a minute, `--seconds 600 entries` ten to one of them; `--again FILE
entries` reads again what a decoder did not bear. atheris, which this is made of, installs where it has a wheel.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from tests.kit.repository import ROOT

MAX_BYTES = 20_000
MAX_MIB = 2_048
HANGS_SECONDS = 20
FOUND = "Uncaught Python exception|ERROR: libFuzzer|SUMMARY"


class Outcome(NamedTuple):
    """How a decoder fared: what was tried, how many places in its code were reached, and what it did not bear."""

    name: str
    tried: int
    reached: int
    problem: str


def fuzz(name: str, folder: Path, seconds: int, seed: int) -> None:
    """Change bytes until time is over or something is raised; does not return."""
    import atheris  # noqa: PLC0415 - only a child needs it, and what it is to guide must be imported after it

    with atheris.instrument_imports(include=["shared", "services"], exclude=_compiled()):
        from tests.hostile.decoders import DECODERS  # noqa: PLC0415
    decoder = DECODERS[name]()
    for number, whole in enumerate(decoder.seeds):
        (folder / f"whole-{number}").write_bytes(whole)
    options = {
        "max_total_time": seconds,
        "seed": seed,
        "max_len": MAX_BYTES,
        "rss_limit_mb": MAX_MIB,
        "timeout": HANGS_SECONDS,
        "print_final_stats": 1,
        "artifact_prefix": f"{folder}.",
    }
    atheris.Setup([name, *(f"-{key}={value}" for key, value in options.items()), str(folder)], decoder.meet)
    atheris.Fuzz()


def _compiled() -> list[str]:
    """Return the modules of compiled functions, which bear no instruments."""
    files = [file for file in ROOT.glob("services/**/*.py") if "\n@kernel" in file.read_text("utf-8")]
    return [".".join(file.relative_to(ROOT).with_suffix("").parts) for file in files]


def outcome(name: str, folder: Path, seconds: int, seed: int) -> Outcome:
    """Return how a decoder fares in a process of its own."""
    folder.mkdir()
    command = [sys.executable, "-m", __spec__.name, name, "--seconds", str(seconds), "--seed", str(seed)]
    done = subprocess.run(
        [*command, "--into", str(folder)], capture_output=True, text=True, errors="replace", check=False
    )
    said = done.stdout + done.stderr
    (tried,) = re.findall(r"stat::number_of_executed_units: (\d+)", said) or [0]
    reached = max(map(int, re.findall(r" cov: (\d+) ", said)), default=0)
    is_well = done.returncode == 0 and reached > 0
    return Outcome(name, int(tried), reached, "" if is_well else _problem(said, done.returncode))


def _problem(said: str, code: int) -> str:
    lines = [line for line in said.splitlines() if not line.startswith(("INFO", "#"))]
    first = next((at for at, line in enumerate(lines) if re.search(FOUND, line)), max(len(lines) - 20, 0))
    return f"ended with {code}\n" + "\n".join(lines[first : first + 40])


def main(arguments: Sequence[str] | None = None) -> int:
    """Fuzz decoders, some at once, and print how each fared; 1 where one raised what it must not."""
    parser = argparse.ArgumentParser(prog="python -m tests.hostile.guided", description="Fuzz decoders.")
    parser.add_argument("names", nargs="*", help="decoders; all of them")
    parser.add_argument("--seconds", type=int, default=60, help="for each")
    parser.add_argument("--seed", type=int, default=1, help="of libFuzzer")
    parser.add_argument("--again", type=Path, help="read the bytes in this file with one decoder, as it is")
    parser.add_argument("--into", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args(arguments)
    if asked.into is not None:
        fuzz(asked.names[0], asked.into, asked.seconds, asked.seed)
    from tests.hostile.decoders import DECODERS  # noqa: PLC0415 - children import it guided

    if unknown := [name for name in asked.names if name not in DECODERS]:
        parser.error(f"no decoder {unknown[0]}; there are {', '.join(DECODERS)}")
    if asked.again is not None:
        DECODERS[asked.names[0]]().meet(asked.again.read_bytes())
        return 0
    if importlib.util.find_spec("atheris") is None:
        print("NOT FUZZED with guidance: atheris is not installed; `make fuzz` installs it where it has a wheel")  # noqa: T201
        return 0
    return _all(asked.names or list(DECODERS), asked.seconds, asked.seed)


def _all(names: Sequence[str], seconds: int, seed: int) -> int:
    folder = Path(tempfile.mkdtemp(prefix="driftline-fuzz-"))
    raised = 0
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for found in pool.map(lambda name: outcome(name, folder / name, seconds, seed), names):
            print(f"{found.name:<14} {found.tried:>10,} tried  {found.reached:>6,} places reached", flush=True)  # noqa: T201
            if found.problem:
                raised += 1
                print(found.problem, flush=True)  # noqa: T201
    print(f"{len(names) - raised} of {len(names)} decoders bore what they met; seed {seed}, {folder}")  # noqa: T201
    return int(raised > 0)


if __name__ == "__main__":
    sys.exit(main())
