"""What both trainers promise of a round: a function of data, parameters and plan, no more."""

import json
import math
from dataclasses import replace

import pytest
import torch
from planted_histories import platform_of, random_platform
from trainer_cases import CASES, ODD, VALIDATED, outcome, reply_of, secret_platform

from isthmus.parameters import Shared
from isthmus.records import ARRAYS, unpack
from isthmus_client.outbox import DECLARED_METRICS


@pytest.fixture(name="case", scope="module", params=CASES)
def _case(request):
    return CASES[request.param]


@pytest.fixture(name="trainer", scope="module")
def _trainer(case):
    return case.make(random_platform(users=20, seed=1))


def test_the_same_round_gives_the_same_bytes(case, trainer):
    again = case.make(random_platform(users=20, seed=1))
    one, two = (each.train(case.received, case.plan) for each in (trainer, again))
    assert outcome(one) == outcome(two)


def test_nothing_is_kept_from_round_to_round(case, trainer):
    first = trainer.train(case.received, case.plan)
    trainer.train(case.received.plus(first.update), replace(case.plan, round=4))
    trainer.evaluate(case.received, case.plan)
    assert outcome(trainer.train(case.received, case.plan)) == outcome(first)


def test_the_random_state_of_the_process_plays_no_part(case, trainer):
    torch.manual_seed(1)
    first = outcome(trainer.train(case.received, case.plan))
    torch.manual_seed(2)
    before = torch.get_rng_state()
    assert outcome(trainer.train(case.received, case.plan)) == first
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("change", [{"round": 4}, {"seed": 6}, {"learning_rate": 0.02}])
def test_another_plan_gives_other_parameters(case, trainer, change):
    plans = (case.plan, replace(case.plan, **change))
    one, other = (trainer.train(case.received, plan).update for plan in plans)
    assert one.fingerprint() != other.fingerprint()


def test_the_parameters_received_stay_as_they_are(case, trainer):
    before = case.received.fingerprint()
    update = trainer.train(case.received, case.plan).update
    assert case.received.fingerprint() == before
    assert update.shapes() == case.received.shapes()
    assert update.norm() > 0


def test_metrics_are_of_the_parameters_received(case, trainer):
    result = trainer.train(case.received, case.plan)
    told = {name: value for name, value in result.metrics.items() if name in VALIDATED}
    assert told == trainer.evaluate(case.received, case.plan)
    assert told != trainer.evaluate(case.received.plus(result.update), case.plan)


def test_all_that_it_reports_is_declared(case, trainer):
    metrics = trainer.train(case.received, case.plan).metrics
    assert set(metrics) == {*VALIDATED, "loss", "steps", "seconds"} <= DECLARED_METRICS
    assert all(math.isfinite(value) for value in metrics.values())
    silent = trainer.train(case.received, replace(case.plan, validate=False)).metrics
    assert set(silent) == {"loss", "steps", "seconds"}


def test_steps_are_of_the_plan_and_of_the_users(case, trainer):
    result = trainer.train(case.received, case.plan)
    assert result.users > 10
    assert result.metrics["steps"] == math.ceil(2 * result.users / 4)
    few = trainer.train(case.received, replace(case.plan, max_steps=3))
    assert few.metrics["steps"] == 3


@pytest.mark.parametrize("name", ODD)
def test_odd_platforms_give_finite_numbers(case, name):
    trainer = case.make(platform_of(*ODD[name]))
    result = trainer.train(case.received, case.plan)
    assert result.update.is_finite()
    assert all(math.isfinite(value) for value in result.metrics.values())
    assert all(math.isfinite(v) for v in trainer.evaluate(case.received, case.plan).values())
    assert result.users or result.update.norm() == 0


def test_an_update_has_the_names_that_came_and_its_receipt_tells_it(case, tmp_path):
    trainer = case.make(secret_platform())
    reply = reply_of(trainer, case.received, case.plan, tmp_path)
    sent = unpack(reply.content[ARRAYS])
    assert sent.shapes() == case.received.shapes()
    (receipt,) = (tmp_path / "grocer.jsonl").read_text().splitlines()
    told = json.loads(receipt)
    assert told["sha256"] == sent.fingerprint()
    assert set(told["metrics"]) <= DECLARED_METRICS


class Careless:
    """A trainer that spoils what the real one returns."""

    def __init__(self, trainer, spoil):
        self.platform, self.inner, self.spoil = trainer.platform, trainer, spoil

    def train(self, parameters, plan):
        return self.spoil(self.inner.train(parameters, plan))


def more_tensors(result):
    """A tensor among what is shared."""
    first = next(iter(result.update.tensors.values()))
    return replace(result, update=Shared({**result.update.tensors, "bias": first}))


def more_metrics(result):
    """What a user did among the metrics."""
    return replace(result, metrics={**result.metrics, "customer-4711-3": 7.0})


@pytest.mark.parametrize("spoil", [more_tensors, more_metrics])
def test_what_is_not_agreed_does_not_leave(case, spoil, tmp_path, caplog):
    trainer = Careless(case.make(secret_platform()), spoil)
    with caplog.at_level("ERROR"):
        reply = reply_of(trainer, case.received, case.plan, tmp_path)
    assert reply.has_error()
    assert not reply.has_content()
    assert not (tmp_path / "grocer.jsonl").exists()
