"""Federation contracts to test with."""

from dataclasses import replace
from functools import cache

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from isthmus.encoder_config import EncoderConfig
from isthmus.federation_contract import contract_from
from isthmus.messages import RoundPlan
from isthmus.privacy.schedule import SPARE, PrivatePlan, schedule_for

TINY = EncoderConfig(content=8, dim=4, layers=1, heads=2, expansion=2, max_events=6)
NAMES = ("anvil", "bellows", "crucible")


def key_of(name):
    """A platform's identity, the same in every run of the tests."""
    return Ed25519PrivateKey.from_private_bytes(name.encode().ljust(32, b"."))


def member(name, users=1200):
    """A member as a contract has it."""
    return {"signing": key_of(name).public_key().public_bytes_raw().hex(), "users": users}


def plain_values(**changes):
    """The fields of a contract without privacy."""
    run, seed = changes.get("run", "spring"), changes.get("seed", 11)
    values = {
        "run": run,
        "name": "spring trial",
        "encoder": TINY,
        "seed": seed,
        "rounds": 5,
        "plan": RoundPlan(run, 0, seed, batch_size=16, negatives=32),
        "optimiser": {"name": "fedavg", "learning_rate": 1.0},
        "aggregation": {"name": "mean", "weights": "users"},
        "members": {name: member(name) for name in NAMES},
        "secure": False,
        "minimum": 2,
        "metrics": ("loss", "validation/ndcg@10"),
        "deadline_s": 90.0,
    }
    return values | changes


def plain_contract(**changes):
    """A contract without privacy."""
    return contract_from(plain_values(**changes))


@cache
def pooled_schedule():
    """Planned once: the accountant takes half a second."""
    private = PrivatePlan("pooled", 6.0, rounds=4, batch=3000, clipping_quantile=0.4)
    return schedule_for(private, dict.fromkeys(NAMES, 40_000), 1000)


def pooled_contract(**changes):
    """A contract whose noise is pooled over three platforms of 40 000 users."""
    schedule = pooled_schedule()
    private = schedule.plan
    values = plain_values(members={name: member(name, 40_000) for name in NAMES})
    values |= {
        "plan": schedule.round(values["plan"]),
        "rounds": private.rounds,
        "paid_rounds": private.rounds + SPARE,
        "trust": "pooled",
        "epsilon": private.epsilon,
        "delta": schedule.delta,
        "secure": True,
        "minimum": len(NAMES),
        "metrics": (),
        "optimiser": {"name": "fedadam", "learning_rate": 2e-3, "tau": 1e-4},
    }
    return contract_from(values | changes)


def plan_of(contract, number=1, **changes):
    """What the server asks for in a round."""
    return replace(contract.plan, round=number, **changes)
