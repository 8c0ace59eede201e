"""The seam for privacy mechanisms."""

from dataclasses import dataclass

import numpy as np

from isthmus.messages import RoundPlan
from isthmus.parameters import Shared
from isthmus.postprocessors import NoPrivacy, Postprocessor, postprocess

UPDATE = Shared({"w": np.array([1.0, -2.0], dtype=np.float32)})
PLAN = RoundPlan(run_id="r", round=2, seed=3)


@dataclass(frozen=True)
class Affine:
    """Multiplies, then adds: order matters."""

    factor: float
    offset: float
    name: str = "affine"
    statement: str = "for tests"

    def __call__(self, update, plan):
        return Shared(
            {
                name: np.float32(self.factor) * tensor + np.float32(self.offset * plan.round)
                for name, tensor in update.tensors.items()
            }
        )


def test_steps_run_in_order_and_see_the_plan():
    steps: list[Postprocessor] = [Affine(3, 0), Affine(1, 5)]
    assert postprocess(UPDATE, PLAN, steps).tensors["w"].tolist() == [13.0, 4.0]
    assert postprocess(UPDATE, PLAN, steps[::-1]).tensors["w"].tolist() == [33.0, 24.0]


def test_no_privacy_changes_nothing_and_claims_nothing():
    assert postprocess(UPDATE, PLAN, [NoPrivacy()]) is UPDATE
    assert NoPrivacy().statement.startswith("NOT PRIVATE")


def test_no_steps_is_the_update_itself():
    assert postprocess(UPDATE, PLAN, []) is UPDATE
