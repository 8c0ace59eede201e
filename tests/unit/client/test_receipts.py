import json
import logging
from multiprocessing import get_context

import pytest
from toy_platforms import write_receipts

from isthmus.errors import OutboxError
from isthmus_client.receipts import ROOT, append_receipt, verify_receipts


def lines_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_each_line_names_the_one_before(tmp_path):
    path = tmp_path / "deep" / "a.jsonl"
    hashes = write_receipts(path)
    lines = lines_of(path)
    assert [line["previous"] for line in lines] == [ROOT, *hashes[:-1]]
    assert [line["hash"] for line in lines] == hashes
    check = verify_receipts(path)
    assert (check.lines, check.first_altered, check.torn) == (4, None, 0)


def test_the_file_is_for_its_owner_alone(tmp_path):
    write_receipts(tmp_path / "a.jsonl", 1)
    assert (tmp_path / "a.jsonl").stat().st_mode & 0o077 == 0


def test_a_file_that_is_not_there_has_no_lines(tmp_path):
    assert verify_receipts(tmp_path / "a.jsonl").lines == 0


def change(lines):
    lines[1] = lines[1].replace('"round": 2', '"round": 9')


def respace(lines):
    lines[1] = lines[1].replace(": ", ":\t", 1)


def drop(lines):
    del lines[1]


def swap(lines):
    lines[1], lines[2] = lines[2], lines[1]


def repeat(lines):
    lines.insert(1, lines[0])


def rewrite(lines):
    lines[1] = "{}"


@pytest.mark.parametrize("alter", [change, respace, drop, swap, repeat, rewrite])
def test_the_first_altered_line_is_found(tmp_path, alter):
    path = tmp_path / "a.jsonl"
    write_receipts(path)
    lines = path.read_text().splitlines()
    alter(lines)
    path.write_text("".join(line + "\n" for line in lines))
    assert verify_receipts(path).first_altered == 2


@pytest.mark.parametrize("keep", [1, 20, -1])
def test_a_torn_last_line_is_seen_cut_and_said(tmp_path, caplog, keep):
    path = tmp_path / "a.jsonl"
    write_receipts(path, 2)
    whole = path.read_bytes()
    torn = whole.splitlines()[0][:keep]
    path.write_bytes(whole + torn)
    assert verify_receipts(path).torn == len(torn)
    with caplog.at_level(logging.WARNING):
        append_receipt(path, {"round": 3})
    assert "unfinished" in caplog.text
    assert lines_of(path)[2]["cut"] == len(torn)
    assert verify_receipts(path).first_altered is None


def test_a_torn_first_line_is_cut(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"round"')
    write_receipts(path, 1)
    assert verify_receipts(path).first_altered is None


def test_nothing_is_added_after_an_altered_line(tmp_path):
    path = tmp_path / "a.jsonl"
    write_receipts(path, 2)
    altered = path.read_text().replace('"round": 2', '"round": 7')
    path.write_text(altered)
    with pytest.raises(OutboxError, match="altered"):
        append_receipt(path, {"round": 3})
    assert path.read_text() == altered


def test_a_line_longer_than_a_block_is_chained(tmp_path):
    path = tmp_path / "a.jsonl"
    for number in range(3):
        append_receipt(path, {"round": number, "text": "x" * 20_000})
    assert verify_receipts(path).first_altered is None


def test_two_processes_keep_one_chain(tmp_path):
    path = tmp_path / "a.jsonl"
    spawn = get_context("spawn")
    workers = [spawn.Process(target=write_receipts, args=(path, 20)) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    check = verify_receipts(path)
    assert (check.lines, check.first_altered) == (40, None)
