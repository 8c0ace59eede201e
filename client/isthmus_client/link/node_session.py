"""The node's loop with the control service: session, contracts, decisions, certificates."""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from isthmus.control.limits import MAX_KNOWN
from isthmus.control.reasons import RefusedError
from isthmus.errors import IsthmusError, NotApprovedError, ServiceError
from isthmus.policy import Policy
from isthmus_client.approvals import decide_by_policy, keep_offer, standing
from isthmus_client.approvals_files import Decided, Offer, read_decision, read_offer, runs_offered
from isthmus_client.home import Home
from isthmus_client.link.session import Beat, Session
from isthmus_client.link.session_calls import RunOffer

_LOOK_S: Final = 0.25  # between two looks for decisions of a person
_RETRY_S: Final = 2.0  # between two tries while the server refuses or cannot be reached
_NEVER: Final = ("absent", "invalid")
"""Refusals of an answer that stay so: the server has no such run any more, or cannot read it."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Hooks:
    """What the session tells the rest of the node.

    Attributes:
        opened: a session is open; called again with every new one.
        renewed: the certificate on the disk is another one.
        trouble: why there is no session; "" = there is one.
        facts: what the operator may read of this platform.
    """

    opened: Callable[[], None]
    renewed: Callable[[], None]
    trouble: Callable[[str], None]
    facts: Callable[[], Mapping[str, Any]]


class SessionLoop:
    """Keeps the session going until told to stop.

    Args:
        session: not opened yet.
        signing: the platform's identity key, which signs answers.
        policy: answers contracts unattended; None = a person does.
        hooks: see there.
        stop: set when the node is to end.
    """

    def __init__(
        self,
        session: Session,
        signing: Ed25519PrivateKey,
        policy: Policy | None,
        hooks: Hooks,
        stop: threading.Event,
    ) -> None:
        self._session, self._signing, self._policy = session, signing, policy
        self._hooks, self._stop = hooks, stop
        self._home: Home = session.home
        self._sent: set[tuple[str, str, str, str]] = set()
        self._next = 0.0
        self._reopen, self._wake = threading.Event(), threading.Event()
        self.ahead_s = 0.0

    def reopen(self) -> None:
        """Open a new session soon: the server tells its addresses when one is opened."""
        self._reopen.set()

    def beat_soon(self) -> None:
        """Send the next heartbeat now, as after a round.

        It carries the end of this platform's log to the server, and brings that of the server's.
        """
        self._next = 0.0
        self._wake.set()

    def start(self) -> None:
        """Run in a thread of its own."""
        threading.Thread(target=self._run, name="session", daemon=True).start()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self.step()
                self._hooks.trouble("")
                pause = _LOOK_S
            except (IsthmusError, OSError) as error:
                self._failed(error)
                pause = _RETRY_S
            self._wake.wait(pause)  # a pause is short: being told to stop need not wake it
            self._wake.clear()

    def step(self) -> None:
        """Open the session if need be, beat when it is time, send what was decided.

        Raises:
            IsthmusError, OSError: what keeps it from that.
        """
        if self._reopen.is_set():
            self._session.close()
        if not self._session.is_open:
            self._reopen.clear()
            self._session.open()
            self._next = 0.0
            self._hooks.opened()
        if time.monotonic() >= self._next:
            self._next = float("inf")  # whoever asks for another from here on gets it
            beat = self._session.beat(self._hooks.facts(), self._known())
            self._next = min(self._next, time.monotonic() + beat.heartbeat_s)
            self._heard(beat)
        self._send_decisions()

    def _failed(self, error: IsthmusError | OSError) -> None:
        hint = error.hint if isinstance(error, IsthmusError) else ""
        _log.warning("control session: %s %s", error, hint)
        self._hooks.trouble(f"{error} {hint}".strip())
        self._next = 0.0
        if isinstance(error, RefusedError) or not isinstance(error, ServiceError):
            self._session.close()  # a new one is opened, with what is on the disk then

    def _heard(self, beat: Beat) -> None:
        self.ahead_s = beat.skew_s
        if beat.warning:
            _log.warning("%s", beat.warning)
        if beat.renewed:
            self._hooks.renewed()
        for offer in beat.offers:
            self._take(offer)
        if self._policy is not None:
            self._decide(self._policy)

    def _take(self, offer: RunOffer) -> None:
        """Keep a contract; one that is no contract, or not the server's, is told and left."""
        try:
            contract, signature = offer.contract, offer.signature
            if not contract and (kept := read_offer(self._home, offer.run)) is not None:
                contract, signature = kept.contract.encode(), bytes.fromhex(kept.signature)
            keep_offer(self._home, contract=contract, signature=signature, status=offer.status)
        except IsthmusError as error:
            _log.error("the offer of run %s is refused: %s", offer.run[:64], error)

    def _decide(self, policy: Policy) -> None:
        """Answer what waits; a contract that cannot be read or answered keeps no other waiting."""
        for run in runs_offered(self._home):
            try:
                if standing(self._home, run).pending:
                    decided = decide_by_policy(self._home, run, policy, self._signing)
                    said = (decided.run, decided.answer, decided.reason)
                    _log.info("run %s is %s by policy: %s", *said)
            except IsthmusError as error:
                _log.error("run %s is not answered: %s %s", run[:64], error, error.hint)

    def _known(self) -> list[str]:
        """Contracts whose bytes need not come again: the newest, as many as a server listens to."""
        kept = [each for run in runs_offered(self._home) if (each := _read(self._home, run))]
        newest = sorted(kept, key=lambda each: each.received, reverse=True)[:MAX_KNOWN]
        return [hashlib.sha256(each.contract.encode()).hexdigest() for each in newest]

    def _send_decisions(self) -> None:
        for run in runs_offered(self._home):
            try:
                decided = read_decision(self._home, run)
            except NotApprovedError:
                continue  # damaged; the worker takes it for no answer, and says so
            if decided is not None and _name(decided) not in self._sent:
                self._send(decided)

    def _send(self, decided: Decided) -> None:
        try:
            self._session.decide(
                decided.run,
                decided.contract_sha256,
                decided.answer,
                decided.reason,
                bytes.fromhex(decided.signature),
            )
        except RefusedError as error:
            if error.reason not in _NEVER:
                raise
            _log.warning("the server does not take the answer to run %s: %s", decided.run, error)
        self._sent.add(_name(decided))


def _read(home: Home, run: str) -> Offer | None:
    """The offer; a damaged one is as good as none, as the server sends it again."""
    try:
        return read_offer(home, run)
    except NotApprovedError:
        return None


def _name(decided: Decided) -> tuple[str, str, str, str]:
    return (decided.run, decided.contract_sha256, decided.answer, decided.signature)
