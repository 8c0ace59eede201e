"""The parameters of round 0: from the platforms, who must agree on them, or from a release.

The server has no PyTorch. The initial encoder is a public function of the contract (shapes and
seed); every platform computes it, and one that computes another is not let go on unseen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Final

from flwr.app import ArrayRecord, ConfigRecord, Message, RecordDict
from flwr.serverapp import Grid
from safetensors import SafetensorError
from safetensors.numpy import load

from isthmus.errors import FederationError, MessageRefusedError, ResumeError
from isthmus.federation_contract import FederationContract
from isthmus.parameters import Shared
from isthmus.records import ARRAYS, PLAN
from isthmus_server.flower.records import from_arrays, told_error

QUERY: Final = "query.initial"
"""Type of the message that asks a platform for them.

It holds the record PLAN, the contract's plan with round 0; the reply holds the record ARRAYS alone.
"""

ENCODER: Final = "encoder.safetensors"


class DisagreementError(FederationError):
    """Platforms start from different parameters; trying again would change nothing."""


def ask_platforms(contract: FederationContract, grid: Grid) -> Shared:
    """The parameters that all platforms which are there compute from the contract.

    Args:
        contract: of the run.
        grid: to its platforms.

    Raises:
        FederationError: fewer than the minimum answered.
        DisagreementError: they do not agree, or not with the contract.
    """
    nodes = {node.node_id: node.name for node in grid.get_nodes()}
    content = RecordDict({PLAN: ConfigRecord(dict(contract.plan.to_record()))})
    asked = [Message(content, node, QUERY, ttl=contract.deadline_s, group_id="0") for node in nodes]
    replies = grid.send_and_receive(asked, timeout=contract.deadline_s) if asked else []
    answers: dict[str, Shared] = {}
    refused: dict[str, str] = {}
    for reply in replies:
        name = nodes.get(reply.metadata.src_node_id, "?")
        try:
            answers[name] = _answer(reply)
        except MessageRefusedError as error:
            refused[name] = str(error)
    return _agreed(contract, answers, refused)


def _answer(reply: Message) -> Shared:
    if reply.has_error():
        raise MessageRefusedError(told_error(reply.error))
    arrays = reply.content.get(ARRAYS)
    if not isinstance(arrays, ArrayRecord):
        raise MessageRefusedError("its reply holds no parameters")
    return from_arrays(arrays)


def _agreed(
    contract: FederationContract, answers: Mapping[str, Shared], refused: Mapping[str, str]
) -> Shared:
    if len(answers) < contract.minimum:
        reasons = "".join(f"; {name}: {reason}" for name, reason in sorted(refused.items()))
        raise FederationError(
            f"{len(answers)} platforms told their initial parameters, the minimum is "
            f"{contract.minimum}{reasons}"
        )
    prints = {name: value.fingerprint() for name, value in answers.items()}
    usual, _ = Counter(prints.values()).most_common(1)[0]
    if odd := sorted(name for name, value in prints.items() if value != usual):
        raise DisagreementError(
            f"the initial parameters of {', '.join(odd)} differ from the others'",
            hint="install the same release of isthmus and PyTorch on all platforms",
        )
    found = next(iter(answers.values()))
    _require_shapes(contract, found)
    return found


def from_release(contract: FederationContract, releases: Path) -> Shared:
    """The parameters of the release that a contract names.

    Args:
        contract: with the release's SHA-256 as its start.
        releases: folder of all releases.

    Raises:
        ResumeError: the release is not here, or is not what the contract names.
    """
    for path in sorted(releases.glob(f"{contract.release_of}-r*/{ENCODER}")):
        data = path.read_bytes()
        if sha256(data).hexdigest() == contract.initial:
            return _loaded(contract, path, data)
    raise ResumeError(
        f"no release of run {contract.release_of!r} in {releases} has the SHA-256 "
        f"{contract.initial[:16]}",
        hint="isthmus server release list; restore the release from a backup",
    )


def _loaded(contract: FederationContract, path: Path, data: bytes) -> Shared:
    try:
        found = Shared(load(data))
    except (SafetensorError, ValueError) as error:
        raise ResumeError(f"{path} holds no parameters: {error}") from error
    _require_shapes(contract, found)
    return found


def _require_shapes(contract: FederationContract, found: Shared) -> None:
    """Refuse parameters that the contract does not describe."""
    shapes = {name: tensor.shape for name, tensor in found.tensors.items()}
    wanted = {name: tuple(shape) for name, shape in contract.tensors.items()}
    if odd := sorted(name for name in {*shapes, *wanted} if shapes.get(name) != wanted.get(name)):
        raise DisagreementError(f"initial parameters are not as the contract says: {odd[:5]}")
    if not found.is_finite():
        raise DisagreementError("initial parameters hold NaN or infinite values")
