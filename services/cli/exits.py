"""Exit codes, and the sentence for every error that a person can do something about."""

from __future__ import annotations

from enum import IntEnum

from shared.errors import ConfigurationError, Corrupt, Denied, DriftlineError, LogIdentity, Newer, Unavailable


class Exit(IntEnum):
    """What a script may rely on."""

    OK = 0
    FAILURE = 1  # a finding, or something that did not work
    USAGE = 2
    CONFIGURATION = 3
    UNREACHABLE = 4
    UNDECIDED = 5  # nothing is wrong that was found, but not all that was asked could be answered


def exit_code(error: DriftlineError) -> Exit:
    """Return the code that an error ends the process with."""
    match error:
        case ConfigurationError():
            return Exit.CONFIGURATION
        case Unavailable():
            return Exit.UNREACHABLE
        case _:
            return Exit.FAILURE


def advice(error: DriftlineError) -> str:
    """Return what to do next."""
    match error:
        case ConfigurationError(path=path) if path.startswith("DRIFTLINE_"):
            return "Correct the environment variable and start again."
        case ConfigurationError():
            return "Correct it, then try `driftline check CONFIG`."
        case Denied():
            return "Once it is mended, the command can be repeated; docs/security.md has the whole of it."
        case Unavailable():
            return "Check DRIFTLINE_BOOTSTRAP and DRIFTLINE_REDIS_URL; `driftline dev` starts both servers here."
        case LogIdentity():
            return "The topic was recreated or trimmed; nothing was written. docs/operate.md says how to repair it."
        case Newer():
            return "Nothing was written. Use the release that wrote it, or a later one."
        case Corrupt():
            return "Nothing was written. Keep the topic as it is and compare with its writer's release."
        case _:
            return "Nothing was left half done; the command can be repeated."
