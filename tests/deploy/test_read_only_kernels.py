"""A detector from an image: its kernels are compiled already, in a folder that it may not write to."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec

from shared.adapters.user_cache import cache_folder
from tests.kit.compiling import Compiling
from tests.kit.repository import ROOT

# What root may not write to, it may with its capabilities.
UNPRIVILEGED = [] if os.geteuid() else ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]


def test_a_detector_whose_warm_cache_is_read_only_compiles_nothing(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "services.detector.warm"], cwd=ROOT, check=True)
    warm = tmp_path / "cache" / "kernels"
    shutil.copytree(cache_folder(os.environ.get("DRIFTLINE_CACHE", ""), os.environ) / "kernels", warm)
    for path in (*warm.rglob("*"), warm, warm.parent):
        path.chmod(0o555 if path.is_dir() else 0o444)
    writable = tmp_path / "tmp"
    writable.mkdir()

    ran = subprocess.run(
        [*UNPRIVILEGED, sys.executable, "-m", "tests.kit.compiling"],
        cwd=ROOT,
        env={**os.environ, "DRIFTLINE_CACHE": str(warm.parent), "TMPDIR": str(writable)},
        stdout=subprocess.PIPE,
        check=True,
    )

    found = msgspec.json.decode(ran.stdout, type=Compiling)
    assert found.compiled == set()
    assert found.loaded == {
        "adwin_window",
        "array_bytes",
        "bernoulli_cusum",
        "cell_cohorts",
        "columns",
        "counts",
        "e_detector",
        "expected",
        "flags",
        "intervals",
        "page_hinkley",
        "rare_levels",
        "repeats",
        "row_costs",
        "score_counts",
        "stream_time",
        "values",
        "vanished",
        "window_kernel",
        "windows",
    }
    assert found.kept_in is not None
    assert Path(found.kept_in).parent == writable
    assert list(writable.iterdir()) == []
