from __future__ import annotations

import signal
import subprocess
import sys

PATIENCE_SECONDS = 30.0
SIGNALS = 100_000
SUPERVISED = """
import sys
from services.cli.adapters.supervisor import Supervisor
reluctant = "import signal, time; signal.signal(15, lambda *_: time.sleep(1) or sys.exit()); print('up', flush=True)"
command = [sys.executable, "-c", f"import sys; {reluctant}; time.sleep(600)"]
print(Supervisor({"reluctant": command}, {}, lambda name, text: print(text, flush=True)).run(), flush=True)
"""


def test_a_supervisor_that_is_told_to_stop_again_and_again_stops() -> None:
    with subprocess.Popen([sys.executable, "-c", SUPERVISED], stdout=subprocess.PIPE, text=True) as supervisor:
        assert supervisor.stdout is not None
        assert supervisor.stdout.readline() == "up\n"
        for _ in range(SIGNALS):
            if supervisor.poll() is not None:
                break
            supervisor.send_signal(signal.SIGTERM)
        try:
            said, _ = supervisor.communicate(timeout=PATIENCE_SECONDS)
        finally:
            supervisor.kill()

    assert said == "Ended(culprit=None, code=0)\n"
