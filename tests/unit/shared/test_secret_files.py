"""A secret's file is its owner's alone, from the first byte on."""

import pytest

from isthmus.errors import KeysError
from isthmus.secret_files import read_owned, write_owned


def test_what_is_written_is_for_the_owner_alone(tmp_path):
    path = tmp_path / "new" / "secret"
    write_owned(path, b"one")
    write_owned(path, b"two")
    assert read_owned(path) == b"two"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert [each.name for each in path.parent.iterdir()] == ["secret"]


@pytest.mark.parametrize("mode", [0o604, 0o640, 0o620, 0o602, 0o601])
def test_a_file_that_is_open_to_others_is_not_read(tmp_path, mode):
    path = tmp_path / "secret"
    write_owned(path, b"one")
    path.chmod(mode)
    with pytest.raises(KeysError, match=f"its mode is {mode:04o}") as caught:
        read_owned(path)
    assert "one" not in str(caught.value)


def test_what_is_no_secret_of_ours(tmp_path):
    with pytest.raises(KeysError, match="there is no"):
        read_owned(tmp_path / "none")
    with pytest.raises(KeysError, match="cannot be read"):
        read_owned(tmp_path)
    write_owned(tmp_path / "large", b"x" * 65_537)
    with pytest.raises(KeysError, match="65,537 bytes"):
        read_owned(tmp_path / "large")
