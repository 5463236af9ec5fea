"""The consumers' own validation, under every definition that there has been."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from services.cli.verify.installation import Installation
from services.ground_truth_consumer import wire as ground_truth
from services.prediction_consumer import wire as predictions
from shared.definition import Catalogue
from shared.events.block import BlockKind
from shared.ingest.intake import Intake, Refused
from shared.log import Record, Records

MOST_CATALOGUES = 20  # that a record may have been refused under: the newest


class Validators:
    """Intakes of one kind of event, made when they are needed."""

    def __init__(self, kind: BlockKind, here: Installation) -> None:
        self._here = here
        self._build = predictions.intake if kind is BlockKind.PREDICTION else ground_truth.intake
        self._by_definition: dict[str, Intake] = {}
        self._by_time: list[Intake] = []  # as `driftline.control` has been, the newest first

    def of(self, definition: str) -> Intake | None:
        """Return the intake that knows this definition only; None where it is not published any longer."""
        if definition not in self._here.catalogue.definitions:
            return None
        if definition not in self._by_definition:
            self._by_definition[definition] = self._intake([definition])
        return self._by_definition[definition]

    def reasons(self, record: Record) -> set[str]:
        """Return why a record may have been refused, under any catalogue there was; "" where it may give a row."""
        if not self._by_time:
            self._by_time = [self._intake(hashes) for hashes in self._catalogues()]
        found = set()
        for intake in self._by_time:
            (outcome,) = intake.admit(Records.of([record]), stale_at_ms=None)
            found.add(outcome.malformed.reason if isinstance(outcome, Refused) else "")
        return found

    def _catalogues(self) -> Iterator[list[str]]:
        versions = self._here.catalogue.versions
        order = sorted(versions, key=lambda hashed: versions[hashed])
        for end in range(len(order), max(-1, len(order) - MOST_CATALOGUES), -1):
            yield order[:end]

    def _intake(self, hashes: Sequence[str]) -> Intake:
        catalogue = Catalogue()
        for hashed in hashes:
            definition = self._here.catalogue.definitions[hashed]
            catalogue.definitions[hashed] = definition
            catalogue.versions[hashed] = self._here.catalogue.versions[hashed]
            catalogue.current[definition.model] = hashed
        return self._build(self._here.topics, catalogue, self._here.key)
