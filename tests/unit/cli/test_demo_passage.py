from __future__ import annotations

from services.cli.demo.passage import Offsets, Passage, Station
from shared.log import TopicPartition

LOG = TopicPartition("log", 0)


class Place:
    """A log and its reader, moved by hand."""

    def __init__(self, end: int, done: int | None) -> None:
        self.end = end
        self.at = done

    def station(self, name: str = "station") -> Station:
        return Station(name, lambda: {LOG: self.end}, self._done)

    def _done(self) -> Offsets:
        return {} if self.at is None else {LOG: self.at}


def test_the_passage_is_over_when_every_station_has_read_its_log() -> None:
    first, second = Place(5, 5), Place(3, 3)

    assert Passage([first.station(), second.station()]).is_over()


def test_a_station_without_a_position_has_done_nothing() -> None:
    place = Place(5, None)

    assert place.station().behind() == 5
    assert not Passage([place.station()]).is_over()


def test_what_is_written_after_the_last_event_passed_does_not_matter() -> None:
    first, second = Place(5, 4), Place(3, 3)
    passage = Passage([first.station(), second.station()])
    assert not passage.is_over()

    first.end, first.at = 9, 5

    assert passage.is_over()


def test_a_later_log_counts_as_far_as_it_went_when_the_station_before_was_done() -> None:
    first, second = Place(5, 4), Place(3, 3)
    passage = Passage([first.station(), second.station()])
    passage.is_over()

    first.at, second.end = 5, 7

    assert not passage.is_over()
    second.at = 7
    assert passage.is_over()
