"""`isthmus server run`: what it proposes, shows and notes, on a server that is not up."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from command_checks import refuse
from contract_cases import key_of
from proposal_cases import beat, roster

from isthmus.cli import run
from isthmus.federation_contract import FederationContract
from isthmus.federation_contract_signing import verify_contract
from isthmus.identity import create_signing_key, public_raw
from isthmus.supervision import alone
from isthmus_server.run_status import ENDED, disk_trouble, opened_state, run_view
from isthmus_server.server_home import ServerHome
from isthmus_server.settings import Settings, settings_text

PLAIN = ["--privacy", "none", "--encoder", "content=8,dim=4,layers=1,max_events=6"]


@pytest.fixture
def home(tmp_path):
    home = ServerHome(tmp_path / "server")
    home.identity.mkdir(parents=True)
    create_signing_key(home.identity / "signing.key")
    home.config.write_text(settings_text(Settings()))
    with opened_state(home) as state:
        roster(state)
    return home


@pytest.fixture
def call(home, capsys):
    """A `server run` command's JSON."""

    def called(*arguments, code=0):
        assert run(["server", "run", *arguments, "--home", str(home.folder), "--json"]) == code
        return json.loads(capsys.readouterr().out)

    return called


def test_start_proposes_a_signed_contract_and_says_what_it_asks(home, call, capsys):
    found = call("start", "spring", *PLAIN, "--users", "anvil=1200", "--rounds", "3")
    with opened_state(home) as state:
        row = state.runs.get("spring")
    key = public_raw(create_key_at(home))
    contract = verify_contract(row.contract, row.signature, key)
    assert found["contract"] == json.loads(contract.to_bytes())
    assert found["contract_sha256"] == row.contract_sha256
    assert (found["proposed"], contract.rounds, contract.members["anvil"].users) == (True, 3, 1200)
    assert run(["server", "run", "start", *PLAIN, "--home", str(home.folder)]) == 0
    words = " ".join(capsys.readouterr().out.split())
    for said in ("no differential privacy", "at most 12", "3 platforms, at least 3", "receives"):
        assert said in words
    assert "isthmus client approve-run run-1" in words


def test_a_private_run_says_its_price(home, capsys):
    options = ["--privacy", "pooled", "--epsilon", "6", "--rounds", "4", "--encoder", "dim=8"]
    command = ["server", "run", "start", *options, "--home", str(home.folder), "--dry-run"]
    assert run(command) == 0
    words = " ".join(capsys.readouterr().out.split())
    for said in ("epsilon 6 at delta", "only the noised sum", "useful (up to 2", "Nothing was"):
        assert said in words
    with opened_state(home) as state:
        assert state.runs.list() == ()


def test_a_file_and_options_meet(call, tmp_path):
    path = tmp_path / "run.toml"
    path.write_text('run = "spring"\nprivacy = "none"\nrounds = 9\n[encoder]\ndim = 8\n')
    found = call("start", "--config", str(path), "--rounds", "5", "--no-secure-aggregation")
    contract = found["contract"]
    assert (contract["run"], contract["rounds"], contract["secure"]) == ("spring", 5, False)
    assert contract["encoder"]["dim"] == 8


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["start", "--privacy", "most"], 10, "privacy: input should be 'none', 'local' or"),
        (["start", *PLAIN, "--members", "anvil,edge,bellows"], 36, "edge is unknown"),
        (["start", *PLAIN, "--members", "anvil,bellows"], 10, "a run needs 3"),
        (["start", "--privacy", "local", "--epsilon", "0.01"], 32, "leaves nothing to learn"),
        (["start", *PLAIN, "--users", "anvil"], 10, "'anvil' is no NAME=N"),
        (["start", *PLAIN, "--aggregation", "median"], 10, "under secure aggregation"),
        (["start", "Spring", *PLAIN], 10, "run: string should match"),
        (["start", "--config", "none.toml"], 11, "there is no none.toml"),
        (["status", "autumn"], 25, "there is no run 'autumn'"),
        (["pause", "autumn"], 25, "there is no run 'autumn'"),
        (["rollback", "autumn", "--round", "1"], 25, "there is no run 'autumn'"),
    ],
)
def test_mistakes_are_told_and_nothing_is_proposed(home, capsys, arguments, code, said):
    refuse(["server", "run", *arguments, "--home", str(home.folder)], code, said, capsys)
    with opened_state(home) as state:
        assert state.runs.list() == ()


def test_a_folder_without_a_server_is_told(tmp_path, capsys):
    refuse(["server", "run", "list", "--home", str(tmp_path)], 11, "there is no server in", capsys)


def test_wishes_are_noted_and_shown(home, call):
    call("start", "spring", *PLAIN)
    for verb, wanted in (("pause", "pause"), ("stop", "stop"), ("resume", "run")):
        view = call(verb, "spring")
        assert view["wanted"] == wanted
        assert view["reason"]
    with opened_state(home) as state:
        state.rounds.commit("spring", 1, 1, record={}, fingerprint="f" * 64, seconds=1.0)
    assert call("rollback", "spring", "--round", "0")["rollback_to"] == 0
    assert [view["run"] for view in call("list")] == ["spring"]
    with opened_state(home) as state:
        kinds = [event.kind for event in state.events.list(run="spring")]
    assert kinds.count("run-wanted") == 3
    assert "run-rollback" in kinds


def test_status_has_everything_that_an_operator_asks(home, call, capsys):
    call("start", "spring", *PLAIN)
    with opened_state(home) as state:
        a_run_with_a_history(state)
    view = call("status", "spring")
    assert (view["status"], view["round"], view["attempt"]) == ("running", 2, 3)
    assert view["reason"] == "waits for platforms: have 2 of 3, missing crucible"
    anvil, bellows, crucible = view["platforms"]
    assert (anvil["answer"], anvil["last_seen_s"] < 60) == ("approved", True)
    assert (bellows["answer"], bellows["answer_reason"]) == ("refused", "too many rounds")
    assert (crucible["status"], crucible["status_note"]) == ("suspended", "in use twice")
    assert [each["reason"] for each in view["refusals"]] == [
        "no answer up to the deadline",
        "update holds NaN or infinite values",
    ]
    assert [alarm["kind"] for alarm in view["alarms"]] == ["clone"]
    assert view["seconds"] == {"last_round": 3.0, "mean_round": 2.0}
    assert view["privacy"] is None
    assert run(["server", "run", "status", "spring", "--home", str(home.folder)]) == 0
    words = " ".join(capsys.readouterr().out.split())
    for said in ("why: waits for platforms", "NaN", "clock is", "too many rounds", "attempt 3"):
        assert said in words


def a_run_with_a_history(state):
    record = {"refused": [{"platform": "bellows", "reason": "update holds NaN or infinite values"}]}
    state.rounds.commit("spring", 1, 1, record=record, fingerprint="a" * 64, seconds=1.0)
    record = {"refused": [], "missing": ["crucible"]}
    state.rounds.commit("spring", 2, 2, record=record, fingerprint="b" * 64, seconds=3.0)
    waits = "waits for platforms: have 2 of 3, missing crucible"
    state.runs.set("spring", status="running", reason=waits, attempt=3)
    state.runs.decide("spring", "anvil", "approved", "as discussed", b"s")
    state.runs.decide("spring", "bellows", "refused", "too many rounds", b"s")
    beat(state, "anvil", {"users": 40_321}, skew_s=-12.0)
    state.platforms.set_status("crucible", "suspended", "in use twice")
    state.events.add("alarm", "clone", "crucible is in use twice", run="spring")


def test_privacy_spent_grows_with_committed_rounds(home, call):
    options = ["--privacy", "pooled", "--epsilon", "6", "--rounds", "4", "--encoder", "dim=8"]
    call("start", "spring", *options)
    spent = []
    with opened_state(home) as state:
        for number in range(1, 4):
            mark = f"{number:064x}"
            state.rounds.commit("spring", number, number, record={}, fingerprint=mark, seconds=1.0)
            view = run_view(state, "spring", datetime.now(UTC), up=True)["privacy"]
            spent.append(view["spent_by_committed_rounds"])
    assert 0 < spent[0] < spent[1] < spent[2] < 6
    assert view["rounds_paid_for"] == 6


def test_a_run_that_ended_early_says_so_and_one_that_did_not_does_not(home, call):
    call("start", "spring", *PLAIN, "--rounds", "3", "--patience", "1")
    with opened_state(home) as state:
        for number, says in ((2, "ended early: 1 rounds brought no better"), (3, "all of its")):
            mark = f"{number:064x}"
            state.rounds.commit("spring", number, number, record={}, fingerprint=mark, seconds=1.0)
            state.runs.set("spring", status="finished", reason="")
            found = run_view(state, "spring", datetime.now(UTC), up=True)
            assert found["round"] == number
            assert found["reason"].startswith(says)


def test_no_state_is_without_a_reason(home, call):
    call("start", "spring", *PLAIN)
    with opened_state(home) as state:
        state.runs.set("spring", status="finished", reason="")
        assert run_view(state, "spring", datetime.now(UTC), up=True)["reason"]
    assert call("list")[0]["reason"]


def test_a_full_disk_is_the_reason_of_runs_that_are_not_over(home, call):
    call("start", "spring", *PLAIN)
    call("start", "autumn", *PLAIN)
    assert disk_trouble(home) == ""
    trouble = disk_trouble(home, least=2**62)
    assert trouble.startswith(f"the disk of {home.folder} is full")
    with opened_state(home) as state:
        waits = state.runs.get("spring").reason
        state.runs.set("autumn", status="finished", reason="")
        views = {
            run: run_view(state, run, datetime.now(UTC), up=True, trouble=trouble)
            for run in ("spring", "autumn")
        }
    assert views["spring"]["reason"] == f"{trouble}; {waits}"
    assert "disk" not in views["autumn"]["reason"]


def test_a_platform_that_was_never_seen_or_long_ago_is_shown_so(home, call, capsys):
    call("start", "spring", *PLAIN)
    with opened_state(home) as state:
        view = run_view(state, "spring", datetime.now(UTC) + timedelta(hours=3), up=True)
    assert view["platforms"][0]["last_seen_s"] > 3 * 3600 - 60
    from isthmus_server.run_words import status_words  # noqa: PLC0415 - rich's tables

    view["platforms"][1]["last_seen_s"] = None
    from rich.console import Console  # noqa: PLC0415

    Console(width=200).print(status_words(view))
    shown = capsys.readouterr().out
    assert "180 min ago, silent" in shown
    assert "never" in shown


def test_watching_ends_with_the_run_and_says_each_change_once(home, call, capsys):
    call("start", "spring", *PLAIN)
    with opened_state(home) as state:
        state.runs.set("spring", status="stopped", reason="the operator stopped it")
    command = ["server", "run", "status", "spring", "--watch", "--home", str(home.folder)]
    assert run([*command, "--json", "--every", "0.05"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["status"] in ENDED


def create_key_at(home):
    from isthmus.identity import load_signing_key  # noqa: PLC0415

    return load_signing_key(home.identity / "signing.key")


def test_contracts_in_the_state_are_canonical(home, call):
    call("start", "spring", *PLAIN)
    with opened_state(home) as state:
        row = state.runs.get("spring")
    assert FederationContract.from_bytes(row.contract).to_bytes() == row.contract
    assert key_of("anvil").public_key().public_bytes_raw().hex() in row.contract.decode()


def test_status_says_that_the_server_is_not_up(home, call, capsys):
    call("start", "spring", *PLAIN)
    command = ["server", "run", "status", "spring", "--home", str(home.folder)]
    assert run(command) == 0
    assert "the server is not up, so nothing happens" in capsys.readouterr().out
    with alone(home.runtime, "the server"):
        assert call("status", "spring")["server_up"] is True
        assert run(command) == 0
        assert "not up" not in capsys.readouterr().out
