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


RESTARTING = """
import sys
from services.cli.adapters.supervisor import Supervisor
counted = "import os, sys; os.write(1, b'up'); os.write(1, bytes([10])); sys.exit(int(sys.argv[1]))"
commands = {name: [sys.executable, "-c", counted, name] for name in sys.argv[1:]}
said = lambda name, text: print(name, text, flush=True)
print(Supervisor(commands, {}, said, restarts=True).run(), flush=True)
"""


def test_a_service_that_ends_is_started_again_until_someone_must_look() -> None:
    with subprocess.Popen([sys.executable, "-c", RESTARTING, "70"], stdout=subprocess.PIPE, text=True) as supervisor:
        assert supervisor.stdout is not None
        said = [supervisor.stdout.readline() for _ in range(3)]
        supervisor.send_signal(signal.SIGTERM)
        supervisor.communicate(timeout=PATIENCE_SECONDS)
    ended = subprocess.run(
        [sys.executable, "-c", RESTARTING, "66"], capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=True
    )

    assert said == ["70 up\n", "70 ended with code 70, is started again\n", "70 up\n"]
    assert ended.stdout == "66 up\nEnded(culprit='66', code=66)\n"
