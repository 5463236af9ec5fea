"""Definitions and baselines by hash, read from `driftline.control` as the observations come to name them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from shared.control import catalogue_measures
from shared.definition import Catalogue, Definition
from shared.errors import Unavailable
from shared.measures import Measure


class ControlDefinitions:
    """Answers from a catalogue; reads it anew when an observation names a hash that it does not hold."""

    def __init__(self, read: Callable[[], Catalogue]) -> None:
        self._read = read
        self._catalogue = read()

    def definition(self, content_hash: str) -> Definition:
        """Return the definition.

        Raises:
            Unavailable: `driftline.control` does not hold it yet.
        """
        if content_hash not in self._catalogue.definitions:
            self._catalogue = self._read()
        try:
            return self._catalogue.definitions[content_hash]
        except KeyError:
            raise Unavailable(f"driftline.control has no definition {content_hash}") from None

    def baseline(self, content_hash: str) -> bytes:
        """Return the encoded baseline; raises like `definition`."""
        if content_hash not in self._catalogue.baselines:
            self._catalogue = self._read()
        try:
            return self._catalogue.baselines[content_hash]
        except KeyError:
            raise Unavailable(f"driftline.control has no baseline {content_hash}") from None

    def measures(self) -> Iterator[Measure]:
        """Yield how full the catalogue is."""
        return catalogue_measures(self._catalogue)
