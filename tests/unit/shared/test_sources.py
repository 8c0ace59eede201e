"""The digest of installed code sees every change that counts, and no other."""

import sys

import pytest

from isthmus.sources import source_digest

PACKAGE = "made_for_sources"


@pytest.fixture(name="package")
def _package(tmp_path, monkeypatch):
    folder = tmp_path / PACKAGE
    (folder / "inner").mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    (folder / "inner" / "deep.py").write_text("A = 1\n")
    (folder / "cli_shown.py").write_text("B = 1\n")
    (folder / "notes.txt").write_text("C\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, PACKAGE, raising=False)  # another test's folder
    return folder


def told():
    return source_digest([PACKAGE], skip=("cli",))


def test_it_is_a_whole_sha256_and_stable(package):
    assert package.is_dir()
    assert told() == told()
    assert len(told()) == 64


@pytest.mark.parametrize("name", ["inner/deep.py", "inner/new.py", "__init__.py"])
def test_a_changed_or_new_source_is_another_digest(package, name):
    before = told()
    (package / name).write_text("A = 2\n")
    assert told() != before


def test_a_renamed_source_is_another_digest(package):
    before = told()
    (package / "inner" / "deep.py").rename(package / "inner" / "deeper.py")
    assert told() != before


@pytest.mark.parametrize("name", ["cli_shown.py", "notes.txt"])
def test_what_is_left_out_changes_nothing(package, name):
    before = told()
    (package / name).write_text("other\n")
    assert told() == before


def test_other_endings_and_nothing_skipped_count_when_asked(package):
    before = source_digest([PACKAGE], endings=(".py", ".txt"))
    (package / "notes.txt").write_text("other\n")
    noted = source_digest([PACKAGE], endings=(".py", ".txt"))
    (package / "cli_shown.py").write_text("other\n")
    assert len({before, noted, source_digest([PACKAGE], endings=(".py", ".txt"))}) == 3
