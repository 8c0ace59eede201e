"""Go back to an earlier round: later checkpoints are deleted, the latest first."""

from __future__ import annotations

from pathlib import Path

from isthmus.files import sync_folder


def rewind(folder: Path, to: int) -> tuple[int, ...]:
    """Delete the checkpoints of the rounds after `to`.

    A crash in between leaves a shorter run, never a gap: a round's JSON file, by which it counts,
    goes before its tensors, and later rounds before earlier ones.

    Args:
        folder: of the run's `CheckpointStore`.
        to: the round that stays the last one.

    Returns:
        The rounds that are gone.

    Raises:
        OSError: a file cannot be deleted.
    """
    later = sorted((number for number in _numbers(folder) if number > to), reverse=True)
    for number in later:
        for suffix in ("json", "safetensors"):
            (folder / f"round-{number:05d}.{suffix}").unlink(missing_ok=True)
    if later:
        sync_folder(folder)
    return tuple(sorted(later))


def _numbers(folder: Path) -> set[int]:
    stems = (path.stem.removeprefix("round-") for path in folder.glob("round-*.*"))
    return {int(stem) for stem in stems if stem.isdigit()}
