"""Receipts are an audit log's lines; the chain itself is tested in `test_audit_log*.py`."""

import json
from multiprocessing import get_context

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from toy_platforms import write_receipts

from isthmus.audit_log import verify_log
from isthmus.errors import OutboxError
from isthmus.identity import public_raw
from isthmus_client.receipts import append_receipt


def test_nothing_leaves_after_an_altered_receipt(tmp_path):
    path = tmp_path / "a.jsonl"
    write_receipts(path, 2)
    altered = path.read_text().replace('"round": 2', '"round": 7')
    path.write_text(altered)
    with pytest.raises(OutboxError, match=r"nothing may leave: .* was altered") as caught:
        append_receipt(path, {"round": 3})
    assert "find out who" in caught.value.hint
    assert path.read_text() == altered


def test_a_receipt_is_signed_where_a_key_is_given(tmp_path):
    path, key = tmp_path / "a.jsonl", Ed25519PrivateKey.generate()
    append_receipt(path, {"round": 1}, key=key)
    assert verify_log(path, public_raw(key)).first_bad is None
    append_receipt(path, {"round": 2})
    check = verify_log(path, public_raw(key))
    assert (check.first_bad, check.what) == (2, "signature")
    assert "signature" not in json.loads(path.read_text().splitlines()[1])


def test_two_processes_keep_one_chain(tmp_path):
    path = tmp_path / "a.jsonl"
    spawn = get_context("spawn")
    workers = [spawn.Process(target=write_receipts, args=(path, 20)) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    check = verify_log(path)
    assert (check.lines, check.first_bad) == (40, None)
