"""Programs that judge what deploys Driftline. `make validators` installs them."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from tests.kit.stack import REQUIRED


def program(*names: str, installed_by: str = "`make validators` installs it") -> str:
    """Return the first of these programs that is installed beside this Python, or on PATH.

    Without one the test is skipped and says so, or fails where nothing may be missing.
    """
    beside = str(Path(sys.executable).parent)
    for name in names:
        if found := shutil.which(name, path=os.pathsep.join([beside, os.environ.get("PATH", "")])):
            return found
    reason = f"no {' or '.join(names)} on this machine: {installed_by}"
    if os.environ.get(REQUIRED):
        pytest.fail(f"{REQUIRED} is set, but there is {reason}", pytrace=False)
    pytest.skip(reason)
