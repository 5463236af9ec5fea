from __future__ import annotations

from pathlib import Path

from shared.adapters.user_cache import cache_folder


def test_the_chosen_folder_wins() -> None:
    assert cache_folder("/elsewhere", {"XDG_CACHE_HOME": "/home/ada/.cache"}) == Path("/elsewhere")


def test_the_users_cache_folder_has_a_room_for_driftline() -> None:
    assert cache_folder("", {"XDG_CACHE_HOME": "/var/cache/ada"}) == Path("/var/cache/ada/driftline")


def test_without_a_setting_the_cache_is_in_the_home_folder() -> None:
    assert cache_folder("", {}) == Path.home() / ".cache" / "driftline"
