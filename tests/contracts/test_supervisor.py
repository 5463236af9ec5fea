from __future__ import annotations

import signal
import subprocess
import sys

PATIENCE_SECONDS = 60.0
SUPERVISED = """
import sys
from services.cli.adapters.supervisor import Supervisor
sleeper = [sys.executable, "-c", "import time; print('asleep', flush=True); time.sleep(600)"]
ended = Supervisor({"sleeper": sleeper}, {}, lambda name, text: print(text, flush=True)).run()
print("ended", ended.culprit is None or ended.culprit, flush=True)
"""


def test_a_supervisor_that_is_told_to_stop_again_and_again_stops() -> None:
    with subprocess.Popen([sys.executable, "-c", SUPERVISED], stdout=subprocess.PIPE, text=True) as supervisor:
        assert supervisor.stdout is not None
        assert supervisor.stdout.readline() == "asleep\n"
        for _ in range(2_000):
            supervisor.send_signal(signal.SIGTERM)
        said, _ = supervisor.communicate(timeout=PATIENCE_SECONDS)

    assert said.startswith("ended")
