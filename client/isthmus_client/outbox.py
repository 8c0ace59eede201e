"""The only door out of a platform: what passes is checked, and written down before it leaves."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from isthmus.errors import MessageRefusedError, OutboxError
from isthmus.files import digest
from isthmus.messages import MAX_UPDATE_BYTES, RoundPlan, Update
from isthmus.parameters import GridSum, Shared
from isthmus.postprocessors import NoPrivacy, Postprocessor, postprocess
from isthmus.records import finite_metrics
from isthmus_client.receipts import append_receipt

_SALT: Final = 16  # bytes in a receipt that nobody can guess

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
class Settled:
    """What a departure cost.

    Attributes:
        epsilon: at most so much is spent on a user of the platform, this departure included.
        ledger: hash of the ledger's last row.
    """

    epsilon: float
    ledger: str


@dataclass(frozen=True)
class Sent:
    """What left for a round before.

    Attributes:
        users: as it said.
    """

    delta: Shared | GridSum
    users: int
    settled: Settled


Seal = Callable[[Update], bytes]
"""Makes of an update what leaves under secure aggregation: its vector, masked and signed."""


class Charge(Protocol):
    """The platform's privacy ledger, as the door sees it."""

    def settle(self, plan: RoundPlan, update: Update) -> Settled:
        """Tell the ledger that these bytes leave, after they are kept for a second sending.

        Raises:
            LedgerError: the round was never reserved.
        """
        ...

    def sent(self, plan: RoundPlan, received: Shared) -> Sent | None:
        """What left for this very round before, if it asks for it again."""
        ...


@dataclass(frozen=True)
class Outbox:
    """One platform's door out.

    Attributes:
        platform: in whose name everything leaves.
        receipts: the file that keeps a line on all that left.
        postprocessors: the steps that every update passes first, in order.
        metrics: the names that may be reported.
        max_norm: the largest Euclidean norm of an update; 0 = no bound.
        charge: the ledger; without one no private round's update leaves.
        clock: Unix seconds, for the receipts.
        signing: the platform's identity key, which signs receipts; None = they are chained only.

    Guarantees:
        - Only `Shared` leaves: a `Private`, a subclass or any other object is refused.
        - An update has exactly the names and shapes of the parameters received (and the one scalar
          more that an adaptive clipping norm asks for), finite float32 values, and a norm within
          the bound; metrics are declared and finite numbers.
        - All that leaves has a receipt on disk before the caller holds it; if the receipt cannot be
          written, nothing leaves. A receipt without a departure (a crash in between) is possible.
        - No differential privacy of its own: that is the postprocessors', whose statements stand in
          the receipt. The metrics pass no postprocessor, so that none leaves in a private round.
        - Under secure aggregation the same holds, and what leaves is the masked vector alone; its
          receipt names the update in it and the masked bytes.
        - A private round's update leaves only if the ledger has it, and its receipt names the
          ledger's last row: an old copy of the ledger put back is found out by it.
        - The hash of a receipt tells nothing: the server is told the log's last one as an anchor,
          and could else try guesses at the metrics that it sees summed alone.
    """

    platform: str
    receipts: Path
    postprocessors: tuple[Postprocessor, ...] = (NoPrivacy(),)
    metrics: frozenset[str] = DECLARED_METRICS
    max_norm: float = 0.0
    charge: Charge | None = None
    clock: Callable[[], float] = time.time
    signing: Ed25519PrivateKey | None = field(default=None, repr=False)

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
        update = self._checked(delta, received, users, metrics, plan)
        settled = self._settled(plan, update)
        self._write_receipt("update", _what(update), update.metrics, plan, settled)
        return update

    def send_masked(
        self,
        delta: Shared,
        *,
        received: Shared,
        users: int,
        metrics: Mapping[str, float],
        plan: RoundPlan,
        seal: Seal,
    ) -> bytes:
        """As `send_update`, but what is handed out is the update under masks, and nothing else.

        Args:
            delta: as there, as are `received`, `users`, `metrics` and `plan`.
            received: the round's parameters.
            users: training users behind the delta.
            metrics: declared, finite.
            plan: the round's.
            seal: masks the checked and charged update.

        Raises:
            OutboxError, AggregationError: something may not leave; nothing did.
            OSError: the receipt could not be written; nothing left.
        """
        update = self._checked(delta, received, users, metrics, plan)
        settled = self._settled(plan, update)
        return self._sealed("masked update", update, plan, settled, seal)

    def send_masked_again(self, *, received: Shared, plan: RoundPlan, seal: Seal) -> bytes | None:
        """As `send_again`, under the masks of another attempt; None if nothing left before.

        Raises:
            AggregationError: the attempt was given up.
            OSError: the receipt could not be written; nothing left.
        """
        found = self._sent(received, plan)
        if found is None:
            return None
        update, settled = found
        return self._sealed("masked update again", update, plan, settled, seal)

    def send_masked_metrics(
        self, metrics: Mapping[str, float], *, received: Shared, plan: RoundPlan, seal: Seal
    ) -> bytes:
        """As `send_metrics`, under masks: the server learns the sum over platforms.

        Raises:
            OutboxError, AggregationError: something may not leave; nothing did.
            OSError: the receipt could not be written; nothing left.
        """
        reported = self._checked_metrics(metrics, plan)
        base = received.fingerprint()
        update = Update(self.platform, plan.round, Shared({}), 0, base, reported)
        return self._sealed("masked metrics", update, plan, None, seal)

    def _checked(
        self,
        delta: Shared,
        received: Shared,
        users: int,
        metrics: Mapping[str, float],
        plan: RoundPlan,
    ) -> Update:
        """The update after its post-processing, if it may leave."""
        require_shared(delta)
        processed = postprocess(delta, plan, self.postprocessors)
        self._check_update(processed, received, plan)
        reported = self._checked_metrics(metrics, plan)
        if type(users) is not int or users < 0:
            raise OutboxError(f"users is {users!r}, must be a count of 0 or more")
        base = received.fingerprint()
        return Update(self.platform, plan.round, processed, users, base, reported)

    def _sealed(
        self, kind: str, update: Update, plan: RoundPlan, settled: Settled | None, seal: Seal
    ) -> bytes:
        """What leaves under masks, with its receipt on disk."""
        masked = seal(update)
        what = {**_what(update), "masked_bytes": len(masked), "masked_sha256": digest(masked)}
        self._write_receipt(kind, what, update.metrics, plan, settled)
        return masked

    def send_again(self, *, received: Shared, plan: RoundPlan) -> Update | None:
        """The very bytes that left for this round before, with a receipt; None if none did.

        A server that lost them asks again. Fresh noise on the same users would cost a second time.

        Args:
            received: the round's parameters, as they came.
            plan: the round's.

        Raises:
            OSError: the receipt could not be written; nothing left.
        """
        found = self._sent(received, plan)
        if found is None:
            return None
        update, settled = found
        self._write_receipt("update again", _what(update), {}, plan, settled)
        return update

    def _sent(self, received: Shared, plan: RoundPlan) -> tuple[Update, Settled] | None:
        """What left for this very round before."""
        found = self.charge.sent(plan, received) if plan.private and self.charge else None
        if found is None:
            return None
        base = received.fingerprint()
        return Update(self.platform, plan.round, found.delta, found.users, base, {}), found.settled

    def send_metrics(
        self, metrics: Mapping[str, float], *, received: Shared, plan: RoundPlan
    ) -> Update:
        """Check metrics without an update, write the receipt, and hand them out.

        The result's delta is empty and its users are 0.

        Raises:
            OutboxError: something may not leave; nothing did.
            OSError: the receipt could not be written; nothing left.
        """
        reported = self._checked_metrics(metrics, plan)
        document = json.dumps(reported, sort_keys=True).encode()
        what: dict[str, int | str] = {"tensors": 0, "bytes": len(document), "users": 0}
        what["sha256"] = digest(document)
        self._write_receipt("metrics", what, reported, plan, None)
        base = received.fingerprint()
        return Update(self.platform, plan.round, Shared({}), 0, base, reported)

    def _settled(self, plan: RoundPlan, update: Update) -> Settled | None:
        """The ledger's word that a private round may leave."""
        if not plan.private:
            return None
        if self.charge is None:
            raise OutboxError(
                "a private round's update tried to leave without a privacy ledger",
                hint="give the platform a ledger and a budget",
            )
        return self.charge.settle(plan, update)

    def _check_update(self, update: Shared | GridSum, received: Shared, plan: RoundPlan) -> None:
        if not isinstance(update, GridSum):
            require_shared(update)
        try:
            plan.require_update(received, update)
        except MessageRefusedError as error:
            raise OutboxError(f"the update is not like the parameters received: {error}") from error
        if update.bytes > MAX_UPDATE_BYTES:
            raise OutboxError(f"update has {update.bytes} bytes, at most {MAX_UPDATE_BYTES} pass")
        if isinstance(update, GridSum):
            return  # whole numbers are finite, and a share of noise has no norm to speak of
        if not update.is_finite():
            raise OutboxError(
                "the update holds NaN or infinite values",
                hint="training diverged: lower the learning rate",
            )
        if self.max_norm and (norm := update.norm()) > self.max_norm:
            raise OutboxError(f"the update's norm is {norm:.6g}, at most {self.max_norm:.6g} pass")

    def _checked_metrics(self, metrics: Mapping[str, float], plan: RoundPlan) -> dict[str, float]:
        if plan.private and metrics:
            raise OutboxError(
                f"metrics {sorted(metrics)} may not leave a private round: they have no noise"
            )
        if odd := sorted(metrics.keys() - self.metrics):
            raise OutboxError(f"metrics {odd} are not declared", hint="declare them, or drop them")
        try:
            return finite_metrics(metrics)
        except MessageRefusedError as error:
            raise OutboxError(str(error)) from error

    def _write_receipt(
        self,
        kind: str,
        what: Mapping[str, int | str],
        metrics: Mapping[str, float],
        plan: RoundPlan,
        settled: Settled | None,
    ) -> None:
        body: dict[str, Any] = {
            "kind": kind,
            "platform": self.platform,
            "run": plan.run_id,
            "round": plan.round,
            "time": self.clock(),
            **what,
            "metrics": dict(metrics),
            "postprocessors": [
                {"name": step.name, "statement": step.statement} for step in self.postprocessors
            ],
            "epsilon": settled.epsilon if settled else None,
            "ledger": settled.ledger if settled else None,
            "salt": secrets.token_hex(_SALT),
        }
        append_receipt(self.receipts, body, key=self.signing)


def _what(update: Update) -> dict[str, int | str]:
    """What a receipt says of an update."""
    delta = update.delta
    size = {"tensors": len(delta.tensors), "bytes": delta.bytes, "users": update.users}
    return {"sha256": delta.fingerprint(), **size}


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
