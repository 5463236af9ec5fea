"""States of other releases: of earlier ones they are brought on, of later ones refused."""

from __future__ import annotations

import pytest

from services.detector.migrations import VERSION, current, headed
from shared.errors import Corrupt, Newer

# Three made-up versions: the second counts twice what the first did, the third has a word in front.
STEPS = {1: lambda body: b"%d" % (2 * int(body)), 2: lambda body: b"rows " + body}


def test_a_state_of_this_release_is_taken_as_it_is() -> None:
    assert current(headed(b"21\n21")) == b"21\n21"


@pytest.mark.parametrize(("version", "body"), [(1, b"rows 42"), (2, b"rows 21"), (3, b"21")])
def test_an_earlier_state_takes_every_step_up_to_now(version: int, body: bytes) -> None:
    assert current(headed(b"21", version), STEPS, 3) == body


def test_a_later_state_is_refused_and_says_what_to_start() -> None:
    with pytest.raises(Newer, match=f"version {VERSION + 1}, this release reads up to {VERSION}: start the release"):
        current(headed(b"", VERSION + 1))


def test_a_state_from_which_no_step_leads_is_corrupt() -> None:
    with pytest.raises(Corrupt, match="version 1, which this release does not read any more"):
        current(headed(b"21", 1), {2: STEPS[2]}, 3)


NO_STATES = [b"", b"driftline-detector/1", b"driftline-detector/\n", b"driftline-detector/-1\n", b"1\n"]


@pytest.mark.parametrize("state", NO_STATES)
def test_what_has_no_version_is_no_state(state: bytes) -> None:
    with pytest.raises(Corrupt, match="no state of a detector"):
        current(state)
