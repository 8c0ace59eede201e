"""Whether a contract's noise keeps what the contract promises: worked out anew by each platform."""

from __future__ import annotations

from typing import Final

from isthmus.errors import NotApprovedError
from isthmus.federation_contract import FederationContract

_SPARE: Final = 1e-3  # of delta, for the rounding of shares; a schedule leaves it as much


def require_claim(contract: FederationContract) -> float:
    """Refuse a contract whose rounds would cost more privacy than it says.

    Returns:
        Epsilon of all rounds that are paid for, at the contract's delta; 0 without privacy.

    Guarantees:
        Of a contract that passes, the tight accountant (`isthmus.privacy.accounting.epsilon`)
        bounds all `paid_rounds` releases by the contract's epsilon at its delta, and that delta is
        at most what the published number of users of each member allows. Pooled noise counts only
        as far as honest members add it: the contract's rules hold `plan.shares` to members less
        colluders. What the rounding of shares adds to delta (`GridNoise.slack`) fits in as well.

    Raises:
        NotApprovedError: with both numbers.
    """
    if contract.trust == "none":
        return 0.0
    from isthmus.privacy.accounting import epsilon, published_delta  # noqa: PLC0415 - slow
    from isthmus.privacy.events import Event  # noqa: PLC0415 - with it

    for name, member in sorted(contract.members.items()):
        if member.users < 2 or contract.delta > published_delta(member.users):  # noqa: PLR2004
            raise NotApprovedError(
                f"run {contract.run}: a delta of {contract.delta:.3g} is too large for the "
                f"{member.users:,} published users of {name}",
                hint="the operator must propose a contract with a smaller delta",
            )
    plan = contract.plan
    spare = _SPARE * contract.delta if contract.trust == "pooled" else 0.0
    try:
        event = Event(plan.noise_multiplier, plan.sampling_rate, contract.paid_rounds)
        found = epsilon([event], contract.delta - spare)
    except (ArithmeticError, ValueError) as error:
        raise NotApprovedError(
            f"run {contract.run}: what its noise costs cannot be worked out: {error}",
            hint="approve nothing; ask the operator how the noise was planned",
        ) from error
    if not found <= contract.epsilon:  # what is no number is no bound either
        raise NotApprovedError(
            f"run {contract.run} promises epsilon {contract.epsilon:g}, but {contract.paid_rounds} "
            f"rounds with a noise multiplier of {plan.noise_multiplier:.4g} cost {found:.4g}",
            hint="approve nothing; ask the operator how the noise was planned",
        )
    _require_slack(contract, found, spare)
    return found


def require_delta(contract: FederationContract, users: int | None) -> None:
    """Refuse a contract whose delta is too large for a platform's own number of users.

    The contract's number is the operator's; a smaller one than the platform's allows a larger
    delta.

    Args:
        contract: of a private run.
        users: that the platform publishes; None = none, for a handful of whom every delta will do
            that the contract's own rule lets pass.

    Raises:
        NotApprovedError: with both numbers.
    """
    from isthmus.privacy.accounting import published_delta  # noqa: PLC0415 - slow

    if users is not None and contract.delta > (most := published_delta(users)):
        raise NotApprovedError(
            f"run {contract.run}: a delta of {contract.delta:.3g} is too large for the {users:,} "
            f"users that this platform publishes: at most {most:.3g}",
            hint="the operator must propose a contract with this platform's number of users",
        )


def _require_slack(contract: FederationContract, found: float, spare: float) -> None:
    """Refuse pooled noise so thin that rounding its shares takes more of delta than is spared.

    Args:
        contract: of the run.
        found: epsilon of the rounds that are paid for.
        spare: part of delta that is left to the rounding; 0 = nothing is rounded in shares.

    Raises:
        NotApprovedError: with both numbers.
    """
    if not spare:
        return
    from isthmus.privacy.grid import GridNoise  # noqa: PLC0415 - slow

    plan, members = contract.plan, len(contract.members)
    coordinates = contract.size + (1 if plan.adaptive else 0)
    how = GridNoise(plan.clipping_norm, plan.noise_multiplier, coordinates, plan.shares)
    if (slack := how.slack(members, contract.paid_rounds, found)) > spare:
        raise NotApprovedError(
            f"run {contract.run}: rounding shares of so little noise alone would take {slack:.1e} "
            f"of the delta {contract.delta:.1e}",
            hint="the operator must propose a contract with more noise",
        )
