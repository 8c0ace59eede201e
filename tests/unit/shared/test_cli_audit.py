"""`isthmus audit verify`: what it says of a log, to a person and to a program."""

import json

import pytest
from audit_logs import filled, rewrite
from command_checks import refuse
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from isthmus import cli_audit
from isthmus.audit_log import AuditLog, anchor_line
from isthmus.cli import run
from isthmus.identity import create_signing_key, public_raw

FACTS = ("lines", "first_bad", "what", "torn", "signatures_checked", "anchors")


@pytest.fixture(name="logs")
def _logs(tmp_path):
    """A platform's signed log of five lines, and the server's that anchors the first four."""
    key = create_signing_key(tmp_path / "signing.key")
    own, server = AuditLog(tmp_path / "own.jsonl", key), AuditLog(tmp_path / "server.jsonl")
    filled(own)
    server.append({"kind": "round"})
    server.append(anchor_line("books", own.head()))
    own.append({"kind": "round", "round": 5})
    return own.path, server.path


def verify(*arguments):
    return ["audit", "verify", *map(str, arguments)]


def keyed(log):
    return ["--key", log.parent / "signing.key.pub"]


def test_a_whole_log(logs, capsys):
    log, other = logs
    assert run(verify(log)) == 0
    assert capsys.readouterr().out == (
        f"{log}: 5 lines, none altered, deleted or moved; signatures not checked; "
        "the end not checked\n"
    )
    assert run(verify(log, *keyed(log), "--against", other, "--name", "books")) == 0
    assert capsys.readouterr().out == (
        f"{log}: 5 lines, none altered, deleted or moved; all signed by the key; 1 anchor agrees\n"
    )


def test_a_whole_log_for_a_program(logs, capsys):
    log, other = logs
    with log.open("ab") as handle:
        handle.write(b"{torn")
    arguments = verify(log, *keyed(log), "--against", other, "--name", "books", "--json")
    assert run(arguments) == 0
    told = json.loads(capsys.readouterr().out)
    assert told.pop("log") == str(log)
    assert told == dict(zip(FACTS, (5, None, None, 5, True, 1), strict=True))


def drop(lines):
    del lines[1]


def change(lines):
    lines[2] = lines[2].replace(b'"round": 3', b'"round": 8')


def swap(lines):
    lines[3], lines[4] = lines[4], lines[3]


def cut(lines):
    del lines[3:]


@pytest.mark.parametrize(
    ("alter", "said", "number", "what"),
    [
        (drop, "the line before line 2 is gone or was replaced", 2, "deleted"),
        (change, "line 3 is not as it was written", 3, "altered"),
        (swap, "line 4 stands in another place than it was written at", 4, "reordered"),
        (cut, "line 4 and what came after it were cut off", 4, "truncated"),
    ],
)
def test_the_first_bad_line_is_named(logs, capsys, alter, said, number, what):
    log, other = logs
    rewrite(log, alter)
    against = ["--against", other, "--name", "books"]
    refuse(verify(log, *against), 35, f"{log}: {said} ({what})", capsys)
    assert run(verify(log, *against, "--json")) == 35
    shown = capsys.readouterr()
    told = json.loads(shown.out)
    assert (told["first_bad"], told["what"]) == (number, what)
    assert json.loads(shown.err)["error"] == "AuditError"


def test_a_line_that_another_signed(logs, capsys):
    log, _ = logs
    AuditLog(log, Ed25519PrivateKey.generate()).append({"kind": "round"})
    assert run(verify(log)) == 0
    capsys.readouterr()
    refuse(verify(log, *keyed(log)), 35, "line 6 is not signed by the key (signature)", capsys)


def test_a_key_in_digits(logs, capsys, tmp_path):
    log, _ = logs
    (tmp_path / "digits").write_text(public_raw(Ed25519PrivateKey.generate()).hex())
    refuse(verify(log, "--key", tmp_path / "digits"), 35, "line 1 is not signed", capsys)


def test_mistakes(logs, capsys, tmp_path):
    log, other = logs
    refuse(verify(tmp_path / "none.jsonl"), 11, "there is no log at", capsys)
    refuse(verify(tmp_path), 11, "there is no log at", capsys)
    none = ["--against", tmp_path / "none.jsonl", "--name", "books"]
    refuse(verify(log, *none), 11, "there is no log at", capsys)
    toys = ["--against", other, "--name", "toys"]
    refuse(verify(log, *toys), 11, "says nothing of a log of 'toys'", capsys)
    refuse(verify(log, "--against", other), 2, "go together", capsys)
    refuse(verify(log, "--name", "books"), 2, "go together", capsys)
    refuse(verify(log, "--key", log), 24, "no Ed25519 public key", capsys)


def test_without_cryptography_it_says_what_to_install(logs, capsys, monkeypatch):
    monkeypatch.setattr(cli_audit, "find_spec", lambda _: None)
    refuse(verify(logs[0]), 40, "needs cryptography", capsys)


def test_the_group_has_verbs_of_other_packages(capsys):
    assert run(["audit", "--help"]) == 0
    shown = capsys.readouterr().out
    assert "verify" in shown
    assert "privacy" in shown
