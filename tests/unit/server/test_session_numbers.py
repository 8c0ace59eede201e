"""Numbers of sessions grow over restarts, clocks that are set back, and backups put back."""

import pytest

from isthmus.errors import StateError
from isthmus_server.coordinator.numbers import SessionNumbers

NOON = 1_800_000_000.0  # Unix seconds


def test_numbers_grow_within_a_millisecond_and_over_a_restart(tmp_path):
    one, two = (SessionNumbers(tmp_path / "run" / "last", lambda: NOON) for _ in range(2))
    found = [one(), one(), two(), one()]
    assert found == [int(NOON * 1000) + more for more in range(4)]


def test_a_clock_that_is_set_back_gives_no_number_twice(tmp_path):
    before = SessionNumbers(tmp_path / "last", lambda: NOON)()
    assert SessionNumbers(tmp_path / "last", lambda: NOON - 3600)() == before + 1


@pytest.mark.parametrize("kept", [None, "1799999990000\n"], ids=["nothing", "an older number"])
def test_a_backup_put_back_takes_no_number_again(tmp_path, kept):
    """Rounds take longer than a millisecond, so the clock is above all that was used since."""
    path = tmp_path / "last"
    used = [SessionNumbers(path, lambda now=NOON + step: now)() for step in range(20)]
    path.unlink()
    if kept is not None:
        path.write_text(kept)
    assert SessionNumbers(path, lambda: NOON + 20)() > max(used)


def test_a_damaged_number_is_not_guessed_at(tmp_path):
    (tmp_path / "last").write_text("twelve")
    with pytest.raises(StateError, match="holds no number of a session"):
        SessionNumbers(tmp_path / "last")()
