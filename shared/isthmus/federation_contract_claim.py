"""Whether a contract's noise keeps what the contract promises: worked out anew by each platform."""

from __future__ import annotations

from isthmus.errors import NotApprovedError
from isthmus.federation_contract import FederationContract


def require_claim(contract: FederationContract) -> float:
    """Refuse a contract whose rounds would cost more privacy than it says.

    Returns:
        Epsilon of all rounds that are paid for, at the contract's delta; 0 without privacy.

    Guarantees:
        Of a contract that passes, the tight accountant (`isthmus.privacy.accounting.epsilon`)
        bounds all `paid_rounds` releases by the contract's epsilon at its delta, and that delta is
        at most what the published number of users of each member allows. Pooled noise counts only
        as far as honest members add it: the contract's rules hold `plan.shares` to members less
        colluders.

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
    event = Event(plan.noise_multiplier, plan.sampling_rate, contract.paid_rounds)
    found = epsilon([event], contract.delta)
    if found > contract.epsilon:
        raise NotApprovedError(
            f"run {contract.run} promises epsilon {contract.epsilon:g}, but {contract.paid_rounds} "
            f"rounds with a noise multiplier of {plan.noise_multiplier:.4g} cost {found:.4g}",
            hint="approve nothing; ask the operator how the noise was planned",
        )
    return found
