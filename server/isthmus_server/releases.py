"""Releases: a committed round's encoder, written, signed and noted; handed out until withdrawn."""

from __future__ import annotations

from dataclasses import asdict
from hashlib import sha256
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from isthmus import __version__
from isthmus.errors import DataMissingError, IdentityError, StateError
from isthmus.federation_contract import FederationContract
from isthmus.parameters import Shared
from isthmus.release_files import TextEncoderName, encoder_file
from isthmus.signed_release import ReleaseCard, verify_release, write_signed
from isthmus_server.checkpoints import CheckpointStore
from isthmus_server.server_home import ServerHome
from isthmus_server.state import ReleaseRow, RoundRow, RunRow, State


def release_id(run: str, number: int) -> str:
    """Name of the release of a run's round, and of its folder."""
    return f"{run}-r{number:05d}"


def make_release(
    home: ServerHome,
    state: State,
    run: str,
    *,
    key: Ed25519PrivateKey,
    number: int | None = None,
) -> ReleaseRow:
    """Write, sign and note the encoder that a run's round committed.

    Args:
        home: holds the run's checkpoints.
        state: knows its rounds.
        run: its id.
        key: the server's identity.
        number: of a committed round; None takes the last one.

    Returns:
        The release; the one that is there already where the round was released before.

    Guarantees:
        Only what a round committed is released, so what privacy the contract agreed on holds for
        it. The row is written after the files, so a release that is listed is whole. The files
        are a function of the round: made again, after a crash or by two at once, they are the same.

    Raises:
        StateError: there is no such run or round, it is not committed, or it cannot be written.
        ResumeError: its checkpoint is damaged.
    """
    row = _require_run(state, run)
    chosen = row.round if number is None else number
    committed = _committed(state, row, chosen)
    name = release_id(run, chosen)
    there = state.releases.get(name)
    if there is not None:
        return there
    encoder = CheckpointStore(home.rounds(run)).parameters(chosen)
    _refuse_other(encoder, committed.fingerprint, name)
    contract = FederationContract.from_bytes(row.contract)
    reads = TextEncoderName(fingerprint=contract.text_encoder)
    data = encoder_file(encoder, asdict(contract.encoder), taken_after=chosen, text_encoder=reads)
    card = _card(name, contract, committed, data)
    try:
        signature = write_signed(home.releases / name, data, card, key)
    except OSError as error:
        raise StateError(
            f"the release {name} cannot be written: {error.strerror}", hint="make room, try again"
        ) from error
    return state.releases.add(
        name, run=run, round=chosen, sha256=card.sha256, path=name, signature=signature
    )


def check_release(home: ServerHome, state: State, release: str, server: bytes) -> ReleaseCard:
    """What a release is, once its files were found to be those that were signed and noted.

    Raises:
        StateError: there is no such release.
        DataMissingError, DataInvalidError, IdentityError: as `verify_release`.
    """
    row = state.releases.get(release)
    if row is None:
        raise StateError(
            f"there is no release {release!r}", hint="list them: isthmus server release list"
        )
    card = verify_release(release_folder(home, row), server)
    if (card.id, card.sha256) != (row.id, row.sha256):
        raise IdentityError(
            f"the files of {release} are those of {card.id} with the SHA-256 {card.sha256}, the "
            f"state says {row.sha256}",
            hint="put the folder back from a backup",
        )
    return card


def release_folder(home: ServerHome, row: ReleaseRow) -> Path:
    """Where the files are.

    Raises:
        DataMissingError: the row names a place outside of the server's releases.
    """
    if row.path != Path(row.path).name or row.path in {"", ".", ".."}:
        raise DataMissingError(f"the release {row.id} lies outside of {home.releases}")
    return home.releases / row.path


def _require_run(state: State, run: str) -> RunRow:
    row = state.runs.get(run)
    if row is None:
        known = ", ".join(each.id for each in state.runs.list()) or "none"
        raise StateError(f"there is no run {run!r}", hint=f"known runs: {known}")
    return row


def _committed(state: State, row: RunRow, number: int) -> RoundRow:
    for each in state.rounds.list(row.id):
        if each.round == number:
            return each
    raise StateError(
        f"round {number} of the run {row.id!r} is not committed",
        hint=f"its last one is {row.round}" if row.round else "it has no round yet; see its status",
    )


def _refuse_other(encoder: Shared, fingerprint: str, name: str) -> None:
    found = encoder.fingerprint()
    if found != fingerprint:
        raise StateError(
            f"the release {name} cannot be made: its checkpoint holds the parameters "
            f"{found[:16]}, the state says {fingerprint[:16]}",
            hint="put the run's folder back from a backup",
        )


def _card(name: str, contract: FederationContract, committed: RoundRow, data: bytes) -> ReleaseCard:
    return ReleaseCard(
        id=name,
        run=contract.run,
        name=contract.name,
        round=committed.round,
        rounds=contract.rounds,
        committed=committed.committed.isoformat(timespec="seconds"),
        version=__version__,
        sha256=sha256(data).hexdigest(),
        bytes=len(data),
        fingerprint=committed.fingerprint,
        contract_sha256=contract.sha256,
        text_encoder=contract.text_encoder,
        members=tuple(sorted(contract.members)),
        secure=contract.secure,
        trust=contract.trust,
        epsilon=contract.epsilon,
        delta=contract.delta,
        colluders=contract.colluders,
    )
