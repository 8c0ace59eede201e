"""The only door out of a platform: what passes is checked, and written down before it leaves."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from isthmus.errors import MessageRefusedError, OutboxError
from isthmus.files import digest
from isthmus.messages import MAX_UPDATE_BYTES, RoundPlan, Update
from isthmus.parameters import Shared
from isthmus.postprocessors import NoPrivacy, Postprocessor, postprocess
from isthmus.records import finite_metrics
from isthmus_client.receipts import append_receipt

DECLARED_METRICS: Final = frozenset(
    {
        "loss",
        "steps",
        "seconds",
        "validation/ndcg@10",
        "validation/hr@10",
        "validation/mrr",
        "validation/coverage",
        "validation/users",
    }
)
"""The metrics that a platform may report unless its outbox says otherwise."""


@dataclass(frozen=True)
class Outbox:
    """One platform's door out.

    Attributes:
        platform: in whose name everything leaves.
        receipts: the file that keeps a line on all that left.
        postprocessors: the steps that every update passes first, in order.
        metrics: the names that may be reported.
        max_norm: the largest Euclidean norm of an update; 0 = no bound.
        clock: Unix seconds, for the receipts.

    Guarantees:
        - Only `Shared` leaves: a `Private`, a subclass or any other object is refused.
        - An update has exactly the names and shapes of the parameters received, finite float32
          values, and a norm within the bound; metrics are declared and finite numbers.
        - All that leaves has a receipt on disk before the caller holds it; if the receipt cannot be
          written, nothing leaves. A receipt without a departure (a crash in between) is possible.
        - No differential privacy of its own: that is the postprocessors', whose statements stand in
          the receipt. The metrics pass no postprocessor.
    """

    platform: str
    receipts: Path
    postprocessors: tuple[Postprocessor, ...] = (NoPrivacy(),)
    metrics: frozenset[str] = DECLARED_METRICS
    max_norm: float = 0.0
    clock: Callable[[], float] = time.time

    def send_update(
        self,
        delta: Shared,
        *,
        received: Shared,
        users: int,
        metrics: Mapping[str, float],
        plan: RoundPlan,
    ) -> Update:
        """Post-process, check, write the receipt, and hand out the update.

        Args:
            delta: local minus received parameters.
            received: the round's parameters, as they came.
            users: training users behind the delta; 0 = none, and the server counts it nothing.
            metrics: declared, finite.
            plan: the round's.

        Raises:
            OutboxError: something may not leave; nothing did.
            OSError: the receipt could not be written; nothing left.
        """
        require_shared(delta)
        processed = postprocess(delta, plan, self.postprocessors)
        self._check_update(processed, received)
        if type(users) is not int or users < 0:
            raise OutboxError(f"users is {users!r}, must be a count of 0 or more")
        reported = self._checked_metrics(metrics)
        update = Update(
            self.platform, plan.round, processed, users, received.fingerprint(), reported
        )
        what = {"tensors": len(processed.tensors), "bytes": processed.bytes, "users": users}
        self._write_receipt("update", processed.fingerprint(), what, reported, plan)
        return update

    def send_metrics(
        self, metrics: Mapping[str, float], *, received: Shared, plan: RoundPlan
    ) -> Update:
        """Check metrics without an update, write the receipt, and hand them out.

        The result's delta is empty and its users are 0.

        Raises:
            OutboxError: something may not leave; nothing did.
            OSError: the receipt could not be written; nothing left.
        """
        reported = self._checked_metrics(metrics)
        document = json.dumps(reported, sort_keys=True).encode()
        what = {"tensors": 0, "bytes": len(document), "users": 0}
        self._write_receipt("metrics", digest(document), what, reported, plan)
        base = received.fingerprint()
        return Update(self.platform, plan.round, Shared({}), 0, base, reported)

    def _check_update(self, update: Shared, received: Shared) -> None:
        require_shared(update)
        try:
            received.require_shapes(update)
        except MessageRefusedError as error:
            raise OutboxError(f"the update is not like the parameters received: {error}") from error
        if update.bytes > MAX_UPDATE_BYTES:
            raise OutboxError(f"update has {update.bytes} bytes, at most {MAX_UPDATE_BYTES} pass")
        if not update.is_finite():
            raise OutboxError(
                "the update holds NaN or infinite values",
                hint="training diverged: lower the learning rate",
            )
        if self.max_norm and (norm := update.norm()) > self.max_norm:
            raise OutboxError(f"the update's norm is {norm:.6g}, at most {self.max_norm:.6g} pass")

    def _checked_metrics(self, metrics: Mapping[str, float]) -> dict[str, float]:
        if odd := sorted(metrics.keys() - self.metrics):
            raise OutboxError(f"metrics {odd} are not declared", hint="declare them, or drop them")
        try:
            return finite_metrics(metrics)
        except MessageRefusedError as error:
            raise OutboxError(str(error)) from error

    def _write_receipt(
        self,
        kind: str,
        fingerprint: str,
        what: Mapping[str, int],
        metrics: Mapping[str, float],
        plan: RoundPlan,
    ) -> None:
        body: dict[str, Any] = {
            "kind": kind,
            "platform": self.platform,
            "run": plan.run_id,
            "round": plan.round,
            "time": self.clock(),
            "sha256": fingerprint,
            **what,
            "metrics": dict(metrics),
            "postprocessors": [
                {"name": step.name, "statement": step.statement} for step in self.postprocessors
            ],
            "epsilon": None,  # spent by this departure; no mechanism accounts yet
        }
        append_receipt(self.receipts, body)


def require_shared(update: object) -> None:
    """Refuse everything but a `Shared`, subclasses included.

    Raises:
        OutboxError: names the type.
    """
    if type(update) is not Shared:
        raise OutboxError(
            f"a {type(update).__name__} tried to leave; only Shared parameters may",
            hint="split the model with the border's split function first",
        )
