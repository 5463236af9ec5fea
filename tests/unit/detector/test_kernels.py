from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numba import config

from services.detector.adapters.kernel_cache import use_kernel_cache
from services.detector.banks.compiled import dense, keep_kernels, kernel


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    before = vars(config)["CACHE_DIR"]
    monkeypatch.setenv("DRIFTLINE_CACHE", str(tmp_path))
    yield tmp_path
    keep_kernels(before)


def test_kernels_are_compiled_for_any_processor_of_the_family() -> None:
    assert (vars(config)["CPU_NAME"], vars(config)["CPU_FEATURES"]) == ("generic", "")


def test_kernels_are_kept_in_the_chosen_cache_folder(cache: Path) -> None:
    def before(x: float) -> float:
        return x + 1.0

    def after(x: float) -> float:
        return x * 2.0

    first = kernel(before)
    assert use_kernel_cache() == cache / "kernels"
    second = kernel(after)
    assert (first(1.0), second(3.0)) == (2.0, 6.0)
    kept = {path.name for path in (cache / "kernels").rglob("*.nbi")}
    assert any("before" in name for name in kept)
    assert any("after" in name for name in kept)


def test_a_cache_folder_that_cannot_be_made_costs_only_compiling_again(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (cache / "file").write_text("not a folder")
    monkeypatch.setenv("DRIFTLINE_CACHE", str(cache / "file"))
    assert use_kernel_cache() is None


def test_only_values_of_another_layout_are_copied() -> None:
    values = np.zeros((3, 2))
    assert dense(values, np.float64) is values
    for other in (np.asfortranarray(values), values[::2], values.astype(np.float32)):
        found = dense(other, np.float64)
        assert found.flags.c_contiguous
        assert found.dtype == np.float64
