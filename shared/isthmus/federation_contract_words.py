"""A federation contract in words, for the person who proposes it and the one who approves it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from isthmus.federation_contract import FederationContract, Member
from isthmus.identity import PublicKeys, fingerprint_of

Row = tuple[str, str]
"""What is spoken of, and what is said of it."""

_TRUST: Final = {
    "none": "no differential privacy: whoever sees an update or a release may learn of users",
    "local": "each platform adds all of its noise before anything leaves; nobody is trusted",
    "pooled": "each platform adds a share of the noise; only the noised sum is ever seen",
}
_LONG: Final = frozenset({"tensors", "members"})
_OF_THE_RUN: Final = frozenset({"run", "name", "plan.run_id"})


def member_fingerprint(member: Member) -> str:
    """What two people compare: of both public keys; of the identity where it is alone known."""
    if not member.node:
        return fingerprint_of(b"isthmus signing key 1", bytes.fromhex(member.signing))
    return PublicKeys(bytes.fromhex(member.signing), member.node.encode()).fingerprint


def asked(contract: FederationContract) -> tuple[Row, ...]:
    """What the run asks of each platform, a row for each subject."""
    return (
        ("run", f"{contract.run}: {contract.name}"),
        ("contract", f"SHA-256 {contract.sha256}"),
        ("encoder", _encoder(contract)),
        ("encoder hash", contract.encoder_sha256),
        ("text encoder", contract.text_encoder or "not agreed on"),
        ("starts from", _start(contract)),
        ("rounds", _rounds(contract)),
        ("a round", _traffic(contract)),
        ("training", _training(contract)),
        ("cohort", _cohort(contract)),
        ("privacy", privacy_words(contract)),
        ("server sees", _sees(contract)),
        ("metrics", ", ".join(contract.metrics) or "none"),
    )


def privacy_words(contract: FederationContract) -> str:
    """The guarantee, in a sentence."""
    if contract.trust == "none":
        return _TRUST["none"]
    plan = contract.plan
    clipping = "adapts, from" if plan.adaptive else "is"
    return (
        f"epsilon {contract.epsilon:g} at delta {contract.delta:.3g} for a user's whole history, "
        f"over {contract.paid_rounds} rounds ({contract.rounds} and what a crash may cost); "
        f"{contract.trust}: {_TRUST[contract.trust]}{_colluders(contract)}; noise multiplier "
        f"{plan.noise_multiplier:.4g}, {plan.sampling_rate:.4g} of the users in a round, the "
        f"clipping norm {clipping} {plan.clipping_norm:g}"
    )


def _colluders(contract: FederationContract) -> str:
    """Against whom pooled noise protects."""
    if contract.trust != "pooled":
        return ""
    if not contract.colluders:
        return "; holds against all who are not members, who know a share of the noise each"
    return f"; holds while at most {contract.colluders} platforms collude with the server"


def changes(before: FederationContract, after: FederationContract) -> tuple[str, ...]:
    """What another contract asks for that this one did not, a line for each field."""
    old, new = _flat(before), _flat(after)
    fields = sorted((old.keys() | new.keys()) - _OF_THE_RUN)
    found = [
        f"{name}: {_short(old.get(name))} -> {_short(new.get(name))}"
        for name in fields
        if old.get(name) != new.get(name)
    ]
    return (*found, *_members_changed(before, after))


def _encoder(contract: FederationContract) -> str:
    shape = contract.encoder
    part = f" ({shape.read} of it read by the adapters)" if shape.read < shape.content else ""
    return (
        f"{contract.size:,} numbers in {len(contract.tensors)} tensors: {shape.layers} layers of "
        f"width {shape.dim}, {shape.heads} heads, content of width {shape.content}{part}, the "
        f"latest {shape.max_events} events"
    )


def _start(contract: FederationContract) -> str:
    if contract.initial == "seed":
        return f"a new encoder of seed {contract.seed}"
    return f"the release {contract.initial[:16]} of the run {contract.release_of}"


def _rounds(contract: FederationContract) -> str:
    early = (
        f"; fewer if {contract.patience} in a row do not raise {contract.score}"
        if contract.patience
        else ""
    )
    return f"at most {contract.rounds}, each within {contract.deadline_s:g} s{early}"


def _traffic(contract: FederationContract) -> str:
    return f"receives {_bytes(contract.bytes_down)} and sends {_bytes(contract.bytes_up)}"


def _training(contract: FederationContract) -> str:
    plan = contract.plan
    if plan.private:
        return "one clipped and noised gradient a round"
    steps = f", {plan.max_steps} steps at most" if plan.max_steps else ""
    checks = "; validated before" if plan.validate else ""
    return (
        f"{plan.local_epochs:g} times over the training users, {plan.batch_size} a step{steps}, "
        f"learning rate {plan.learning_rate:g}{checks}"
    )


def _cohort(contract: FederationContract) -> str:
    members = len(contract.members)
    return f"{members} platforms, at least {contract.minimum} of them in a round"


def _sees(contract: FederationContract) -> str:
    if not contract.secure:
        return f"each platform's update, combined by {contract.aggregation.get('name')}"
    fewest = (
        "; of a sum of two, either platform can subtract its own part"
        if contract.minimum == 2  # noqa: PLR2004 - two
        else ""
    )
    return f"sums over {contract.minimum} platforms or more, by secure aggregation{fewest}"


def _bytes(count: int) -> str:
    size = float(count)
    for unit in ("B", "KiB", "MiB"):
        if size < 1024 or unit == "MiB":  # noqa: PLR2004 - bytes in a kibibyte
            return f"{size:,.0f} {unit}" if unit == "B" else f"{size:,.1f} {unit}"
        size /= 1024
    raise AssertionError


def _flat(contract: FederationContract) -> dict[str, Any]:
    """Fields by dotted names, without those that have words of their own."""
    found: dict[str, Any] = {}
    for name, value in contract.model_dump(mode="json").items():
        if name in _LONG:
            continue
        if isinstance(value, Mapping):
            found |= {f"{name}.{key}": part for key, part in value.items()}
        else:
            found[name] = value
    return found


def _short(value: object) -> str:
    return "none" if value is None else str(value)


def _members_changed(before: FederationContract, after: FederationContract) -> tuple[str, ...]:
    old, new = before.members, after.members
    lines = [f"members: {name} is new" for name in sorted(new.keys() - old.keys())]
    lines += [f"members: {name} is gone" for name in sorted(old.keys() - new.keys())]
    for name in sorted(old.keys() & new.keys()):
        if old[name].signing != new[name].signing:
            lines.append(f"members: {name} HAS ANOTHER IDENTITY KEY")
        if old[name].users != new[name].users:
            lines.append(f"members: {name} has {new[name].users:,} users, had {old[name].users:,}")
    return tuple(lines)
