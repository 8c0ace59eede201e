"""What an unattended platform agrees to without asking anybody: a file of bounds.

A policy only ever says yes to what its owner wrote down; what it does not name has the safer
default.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from isthmus.errors import DataMissingError, ScenarioError
from isthmus.federation_contract import HEX256, FederationContract
from isthmus.messages import Trust

Sha256 = Annotated[str, Field(pattern=HEX256)]


class Policy(BaseModel):
    """Bounds of what is approved unattended.

    Attributes:
        max_epsilon: of one private run.
        max_delta: of its guarantee.
        max_rounds: of one run.
        min_platforms: members at least, the platform itself among them.
        trust: modes that are agreed to; runs without privacy only where "none" is written.
        require_secure: refuse runs in which the server sees single updates.
        max_round_bytes: that the platform sends in a round.
        encoders: SHA-256 of encoder shapes (`FederationContract.encoder_sha256`); empty = any.
        members: names of platforms that may take part; empty = any.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_epsilon: float = Field(gt=0, le=200)
    max_delta: float = Field(default=1e-5, gt=0, lt=1)
    max_rounds: int = Field(ge=1)
    min_platforms: int = Field(default=3, ge=1)
    trust: frozenset[Trust] = frozenset({"local", "pooled"})
    require_secure: bool = True
    max_round_bytes: int = Field(default=100 * 1024 * 1024, ge=1)
    encoders: frozenset[Sha256] = frozenset()
    members: frozenset[str] = frozenset()


def decide(contract: FederationContract, policy: Policy) -> tuple[bool, tuple[str, ...]]:
    """Whether a contract lies within a policy.

    Returns:
        The answer, and its reasons: every bound that is broken, or all that hold.
    """
    broken = _broken(contract, policy)
    return (False, broken) if broken else (True, _held(contract, policy))


def _broken(contract: FederationContract, policy: Policy) -> tuple[str, ...]:
    found = []
    if contract.trust not in policy.trust:
        modes = ", ".join(sorted(policy.trust)) or "no mode"
        found.append(f"its trust mode is {contract.trust}; the policy agrees to {modes}")
    if contract.epsilon > policy.max_epsilon:
        found.append(f"its epsilon is {contract.epsilon:g}, at most {policy.max_epsilon:g}")
    if contract.delta > policy.max_delta:
        found.append(f"its delta is {contract.delta:.3g}, at most {policy.max_delta:.3g}")
    if contract.rounds > policy.max_rounds:
        found.append(f"it has {contract.rounds} rounds, at most {policy.max_rounds}")
    if len(contract.members) < policy.min_platforms:
        found.append(f"it has {len(contract.members)} platforms, at least {policy.min_platforms}")
    if policy.require_secure and not contract.secure:
        found.append("it is without secure aggregation: the server would see single updates")
    if contract.bytes_up > policy.max_round_bytes:
        most = policy.max_round_bytes
        found.append(f"a round sends {contract.bytes_up:,} bytes, at most {most:,}")
    if policy.encoders and contract.encoder_sha256 not in policy.encoders:
        found.append(f"its encoder {contract.encoder_sha256[:16]} is not on the policy's list")
    if policy.members and (odd := sorted(contract.members.keys() - policy.members)):
        found.append(f"{', '.join(odd)} may not take part")
    return tuple(found)


def _held(contract: FederationContract, policy: Policy) -> tuple[str, ...]:
    cost = (
        "no differential privacy, which the policy agrees to"
        if contract.trust == "none"
        else f"epsilon {contract.epsilon:g} of at most {policy.max_epsilon:g}, {contract.trust}"
    )
    return (
        cost,
        f"{contract.rounds} rounds of at most {policy.max_rounds}",
        f"{len(contract.members)} platforms, at least {policy.min_platforms}",
        "secure aggregation" if contract.secure else "single updates, which the policy agrees to",
        f"{contract.bytes_up:,} bytes a round of at most {policy.max_round_bytes:,}",
    )


def load_policy(path: Path) -> Policy:
    """The policy in a file.

    Raises:
        DataMissingError: there is no such file.
        ScenarioError: it is no TOML, or names each wrong or unknown key.
    """
    try:
        values = tomllib.loads(path.read_text())
    except FileNotFoundError:
        raise DataMissingError(
            f"there is no policy at {path}", hint="docs/federation-contract.md has one to copy"
        ) from None
    except (OSError, ValueError) as error:  # tomllib's and UTF-8's errors are ValueErrors
        raise ScenarioError(f"the policy {path} cannot be read: {error}") from error
    return parse_policy(values, str(path))


def parse_policy(values: dict[str, Any], where: str = "policy") -> Policy:
    """A policy from its keys.

    Raises:
        ScenarioError: names each wrong, missing or unknown key.
    """
    try:
        return Policy.model_validate(values)
    except ValidationError as error:
        wrong = "; ".join(_told(each) for each in error.errors(include_url=False))
        hint = "docs/federation-contract.md#policy says what each key means"
        raise ScenarioError(f"{where}: {wrong}", hint=hint) from None


def _told(detail: Any) -> str:
    key = ".".join(map(str, detail["loc"]))
    if detail["type"] == "extra_forbidden":
        return f"{key} is no key of a policy"
    return f"{key}: {detail['msg'][:1].lower()}{detail['msg'][1:]}"
