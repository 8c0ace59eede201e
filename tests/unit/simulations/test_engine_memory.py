import json
import logging
from dataclasses import dataclass, replace

import pytest
from toy_platforms import (
    INITIAL,
    PLAN,
    SCORE,
    Diverges,
    Leaks,
    Raises,
    Toy,
    server_config,
    toy_from_folder,
    toys,
)

from isthmus.audit_log import verify_log
from isthmus.errors import DataInvalidError, FederationError, ResumeError, ScenarioError
from isthmus_client.trainer import LocalResult
from isthmus_server.checkpoints import CheckpointStore
from isthmus_server.optimisers import FedAdam, FedAvgM
from isthmus_simulations.engines.platforms import FolderOutboxes
from isthmus_simulations.engines.runner import run_federation


@pytest.fixture
def run(tmp_path):
    def go(trainers=(), config=None, folder="one", **more):
        return run_federation(
            "memory",
            server_config=config or server_config(),
            initial=INITIAL,
            store=CheckpointStore(tmp_path / folder),
            outboxes=FolderOutboxes(tmp_path / folder / "receipts"),
            trainers=trainers,
            **more,
        )

    return go


def test_rounds_are_those_of_a_plain_loop(run):
    platforms = toys("a", "b", "c")
    result = run(platforms)
    parameters = INITIAL
    for number in (1, 2, 3):
        plan = server_config().plan_for(number)
        trained = [(parameters.plus(p.train(parameters, plan).update), p.users) for p in platforms]
        total = sum(users for _, users in trained)
        parameters = type(INITIAL)(
            {
                name: sum(
                    t.tensors[name].astype("f8") * users / total for t, users in trained
                ).astype("f4")
                for name in INITIAL.tensors
            }
        )
    for name, tensor in result.final.tensors.items():
        assert tensor == pytest.approx(parameters.tensors[name], abs=1e-6)


@pytest.mark.parametrize("optimiser", [FedAvgM(), FedAdam()])
def test_the_same_seed_gives_the_same_bytes_whatever_the_threads_do(run, optimiser):
    config = server_config(optimiser=optimiser)
    one = run(toys("a", "b", "c", "d"), config, "one", workers=1)
    many = run(toys("a", "b", "c", "d")[::-1], config, "many", workers=4)
    assert one.final.fingerprint() != INITIAL.fingerprint()
    assert [r.fingerprint for r in one.rounds] == [r.fingerprint for r in many.rounds]


def test_another_seed_gives_other_bytes(run):
    one = run(toys("a"), server_config(), "one")
    two = run(toys("a"), server_config(seed=8), "two")
    assert one.final.fingerprint() != two.final.fingerprint()


def test_the_record_of_a_round(run):
    seen = []
    result = run(toys("a", "b"), on_round=seen.append)
    assert tuple(seen) == result.rounds
    (record, *_) = seen
    assert {name: p.users for name, p in record.platforms.items()} == {"a": 5, "b": 8}
    assert record.platforms["a"].metrics["loss"] == 0.25
    assert record.seconds > 0
    payload = INITIAL.bytes
    for platform in record.platforms.values():
        assert payload < platform.bytes_down < payload + 1500
        assert payload < platform.bytes_up < payload + 1500


def test_validation_runs_from_round_zero_to_the_last(run):
    result = run(toys("a", "b"))
    assert len(result.validation) == 4
    assert result.validation[0]["a"] == pytest.approx(0.5)
    assert result.validation[3]["a"] == toys("a")[0].evaluate(result.final, None)[SCORE]
    assert result.best.fingerprint() == result.rounds[result.best_round - 1].fingerprint


def test_no_validation_no_scores(run):
    result = run(toys("a"), server_config(plan=replace(PLAN, validate=False)))
    assert not any(result.validation)
    assert result.best_round == 3


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (Raises("bad"), "client error 1001: ValueError"),
        (Diverges("bad"), "client error 1030: OutboxError"),
        (Leaks("bad"), "client error 1030: OutboxError"),
    ],
)
def test_a_failing_platform_is_left_out_and_the_run_goes_on(run, caplog, bad, reason):
    with caplog.at_level(logging.CRITICAL):
        result = run([*toys("a", "b"), bad])
    alone = run(toys("a", "b"), folder="two")
    assert result.final.fingerprint() == alone.final.fingerprint()
    told = [r.reason.partition(" (")[0] for record in result.rounds for r in record.refused]
    assert told == [reason] * 3
    assert "4711" not in json.dumps([r.reason for record in result.rounds for r in record.refused])


def test_too_few_platforms_stop_the_run_and_it_can_be_resumed(run, caplog):
    config = server_config(minimum_platforms=2)
    with caplog.at_level(logging.CRITICAL), pytest.raises(FederationError, match="ValueError"):
        run([*toys("a"), Raises("b", users=8, target=2.0)], config)
    result = run(toys("a", "b"), config, resume=True)
    assert result.final.fingerprint() == run(toys("a", "b"), config, "two").final.fingerprint()


@dataclass(frozen=True)
class Worse(Toy):
    """Its score only falls."""

    def train(self, parameters, plan):
        result = super().train(parameters, plan)
        return LocalResult(result.update, self.users, {SCORE: 1.0 / plan.round})

    def evaluate(self, parameters, plan):  # noqa: ARG002 - the seam's face
        return {SCORE: 0.01}


def test_patience_ends_a_run_that_gets_worse_and_keeps_the_best(run):
    result = run([Worse("a")], server_config(rounds=20, patience=2))
    assert len(result.rounds) == 3
    assert result.best_round == 0
    assert result.best.fingerprint() == INITIAL.fingerprint()


def test_a_run_of_no_rounds_validates_the_initial_parameters(run):
    result = run(toys("a"), server_config(rounds=0))
    assert result.final.fingerprint() == INITIAL.fingerprint()
    assert result.validation == ({"a": pytest.approx(0.5)},)


def test_all_that_left_has_a_receipt(run, tmp_path):
    result = run(toys("a", "b"))
    for name in ("a", "b"):
        path = tmp_path / "one" / "receipts" / f"{name}.jsonl"
        assert verify_log(path).first_bad is None
        kinds = [json.loads(line)["kind"] for line in path.read_text().splitlines()]
        assert kinds == ["update"] * 3 + ["metrics"]
    assert result.rounds


def test_a_store_with_a_run_is_not_overwritten(run):
    run(toys("a"))
    with pytest.raises(ResumeError, match="holds a run already"):
        run(toys("a"))


def test_resuming_a_finished_run_asks_nobody(run):
    first = run(toys("a"))
    again = run([Raises("a")], resume=True)
    assert again.final.fingerprint() == first.final.fingerprint()
    assert again.validation == first.validation


def test_more_rounds_go_on_from_the_last(run):
    run(toys("a", "b"), server_config(rounds=2))
    longer = run(toys("a", "b"), server_config(rounds=5), resume=True)
    straight = run(toys("a", "b"), server_config(rounds=5), "two")
    assert longer.final.fingerprint() == straight.final.fingerprint()
    assert longer.validation == straight.validation


def test_platforms_from_folders(run, tmp_path):
    folders = [tmp_path / name for name in ("a", "bb", "ccc dd")]
    result = run(folders=folders, trainer_factory=toy_from_folder)
    ready = run([toy_from_folder(folder) for folder in folders], folder="two")
    assert result.final.fingerprint() == ready.final.fingerprint()


def misnamed(folder):
    return replace(toy_from_folder(folder), platform="other")


def test_a_folder_named_unlike_its_platform_is_refused(run, tmp_path, caplog):
    with caplog.at_level(logging.ERROR), pytest.raises(FederationError, match=r"1012: DataInvalid"):
        run(folders=[tmp_path / "a"], trainer_factory=misnamed)
    assert "'other'" in caplog.text
    assert DataInvalidError.exit_code == 12


@pytest.mark.parametrize(
    "platforms", [{}, {"trainers": toys("a"), "folders": ["x"]}, {"folders": ["x"]}]
)
def test_platforms_are_given_in_one_way(run, platforms):
    with pytest.raises(ScenarioError, match="engine memory"):
        run(**platforms)


def test_two_platforms_of_one_name_are_refused(run):
    with pytest.raises(FederationError, match=r"registered as \['a'\]"):
        run(toys("a", "a"))
