"""Secure aggregation within a simulation: identity keys and seats of platforms of one process."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from isthmus.errors import ScenarioError
from isthmus.files import digest
from isthmus.secagg import Site
from isthmus.secagg.terms import MINIMUM
from isthmus_client.outbox import DECLARED_METRICS
from isthmus_client.secure_side import Attendance, Seat, SeatFor
from isthmus_server.config import SecureCohort, ServerConfig
from isthmus_simulations.job import Job
from isthmus_simulations.options import SimulationOptions

ATTENDANCE = "secure"  # folder of a run: the last session of each platform


@dataclass(frozen=True)
class SimulatedCohort:
    """Who takes part in the sums of a run.

    Attributes:
        config: the server's, which knows them.
        seats: what each platform brings; None = the server sees each platform's update.
    """

    config: ServerConfig
    seats: SeatFor | None = None

    @classmethod
    def of(cls, job: Job, config: ServerConfig, names: Collection[str]) -> Self:
        """The cohort that the options ask for; keys are fresh, as no session outlives a process.

        Raises:
            ScenarioError: fewer than three platforms, or a rule that sees single updates.
        """
        require_unseen(job.options, len(names))
        if not job.options.secure_aggregation:
            return cls(config)
        keys = {name: Ed25519PrivateKey.generate() for name in sorted(names)}
        identities = {name: key.public_key().public_bytes_raw() for name, key in keys.items()}
        contract = bytes.fromhex(digest(b"simulation", config.run_id.encode()))
        minimum = len(keys) if config.plan.privacy == "pooled" else MINIMUM
        metrics = () if config.plan.private else tuple(sorted(DECLARED_METRICS))
        colluders = job.options.colluders
        secure = SecureCohort(
            contract, identities, minimum=minimum, colluders=colluders, metrics=metrics
        )
        folder = job.options.out / ATTENDANCE

        def seat(name: str) -> Seat:
            site = Site(name, keys[name], identities, contract, minimum, colluders)
            return Seat(site, Attendance(folder / f"{name}.json"))

        return cls(replace(config, secure=secure), seat)


def require_unseen(options: SimulationOptions, platforms: int) -> None:
    """Refuse secure aggregation that cannot be, before anything is computed.

    Args:
        options: the run's.
        platforms: in its federation.

    Raises:
        ScenarioError: names the option that does not go with it.
    """
    if not options.secure_aggregation:
        return
    if options.engine != "memory":
        raise ScenarioError(
            f"--engine {options.engine}: a platform's secrets of a round live in one process",
            hint="leave --engine out",
        )
    if options.aggregation not in (None, "mean"):
        raise ScenarioError(
            f"--aggregation {options.aggregation} must see single updates; with "
            "--secure-aggregation the server sees sums only",
            hint="use the mean, or leave --secure-aggregation out",
        )
    if platforms < MINIMUM:
        raise ScenarioError(
            f"--secure-aggregation with {platforms} platforms: of a sum over fewer than {MINIMUM} "
            "each could take its own part off and read the other's",
            hint="use a scenario with more platforms, or --privacy local",
        )
