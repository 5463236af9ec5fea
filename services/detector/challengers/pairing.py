"""Labelled answers that wait for those of the other versions to the same request.

A label joins every version of a request at once, so most pairs are complete within one record of the log. What waits
longer is a version that answers after the label, and requests that only one version was asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from services.detector.challengers.losses import MISSING

KEPT = 8_192  # requests: those of four full blocks; of what comes after them, the oldest make room


class Waiting(msgspec.Struct):
    """The champion's loss and each challenger's, by the keyed hash of the request, the oldest first."""

    losses: dict[bytes, list[int]] = {}
    unpaired: list[int] = []  # by challenger: requests dropped with the answer of one of the two only

    def take(self, version: int, ids: Sequence[bytes], losses: Sequence[int]) -> Iterator[tuple[int, int, int]]:
        """Take one version's labelled rows; yield the pairs that they complete.

        version: 0 is the champion. A pair is the challenger, counted from 0, the row that completes it, and the
        difference in hundredths: the champion's loss less the challenger's. The second answer of one version to a
        request counts for nothing.
        """
        versions = len(self.unpaired) + 1
        for row, (identity, loss) in enumerate(zip(ids, losses, strict=True)):
            if loss == MISSING:
                continue
            known = self.losses.setdefault(identity, [MISSING] * versions)
            if known[version] != MISSING:
                continue
            known[version] = loss
            if version == 0:
                for other in range(1, versions):
                    if known[other] != MISSING:
                        yield other - 1, row, loss - known[other]
            elif known[0] != MISSING:
                yield version - 1, row, known[0] - loss
            if MISSING not in known:
                del self.losses[identity]
            elif len(self.losses) > KEPT:
                self._drop()

    def _drop(self) -> None:
        known = self.losses.pop(next(iter(self.losses)))
        for challenger, loss in enumerate(known[1:]):
            self.unpaired[challenger] += (known[0] == MISSING) != (loss == MISSING)
