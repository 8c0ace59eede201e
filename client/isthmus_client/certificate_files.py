"""Certificates in a run's folder, and measuring them again from what the folder holds.

certificates/PLATFORM.json, .html   the certificate; figures and digests
private/PLATFORM/MODEL.safetensors  every model that was judged; stays with the platform
platforms/PLATFORM/                 the platform's prepared data; stays with the platform
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from isthmus.errors import DataMissingError
from isthmus.files import write_text
from isthmus_client.certificate import TOLERANCE, Certificate, Judged, certify, code_digest
from isthmus_client.certificate_page import render_page
from isthmus_client.gate import Quality
from isthmus_client.platform_files import load_platform, save_platform
from isthmus_client.stored_models import read_models, write_models
from isthmus_client.workspace import Workspace

CERTIFICATES: Final = "certificates"
PRIVATE: Final = "private"
PLATFORMS: Final = "platforms"
_TOLD_ASIDE: Final = ("created", "versions", "code_sha256")  # of the making, not of the finding


@dataclass(frozen=True)
class Deviation:
    """A figure that came out otherwise when it was measured again."""

    field: str
    written: Any
    found: Any


@dataclass(frozen=True)
class Verification:
    """A certificate measured again.

    Attributes:
        deviations: empty where everything came out as written.
        stored_ranks: models whose figures were taken from stored ranks, for want of the model.
        same_code: whether the code that measured is the code that wrote.
    """

    certificate: Certificate
    deviations: tuple[Deviation, ...]
    stored_ranks: tuple[str, ...]
    same_code: bool


def issue(
    workspace: Workspace,
    judged: Judged,
    folder: Path,
    qualities: Mapping[str, Quality] | None = None,
) -> Certificate:
    """Certify and write the certificate with all that it takes to measure it again.

    The certificate goes last: where it is, the rest is.

    Args:
        workspace: the platform as it was judged.
        judged: what the gate compares.
        folder: of the run.
        qualities: see `certify`.

    Raises:
        OSError: the folder cannot be written or the disk is full.
    """
    certificate = certify(workspace, judged, qualities)
    name = workspace.platform.name
    if not (folder / PLATFORMS / name).is_dir():
        save_platform(workspace.platform, folder / PLATFORMS / name)
    write_models(judged.models, folder / PRIVATE / name)
    write_text(folder / CERTIFICATES / f"{name}.html", render_page(certificate))
    certificate.save(folder / CERTIFICATES / f"{name}.json")
    return certificate


def certified(folder: Path) -> tuple[str, ...]:
    """Names of the platforms that have a certificate, sorted.

    Raises:
        DataMissingError: none has.
    """
    names = tuple(sorted(path.stem for path in (folder / CERTIFICATES).glob("*.json")))
    if not names:
        raise DataMissingError(
            f"{folder} holds no certificates",
            hint="name the folder of a finished run of `isthmus simulate`",
        )
    return names


def read_certificate(folder: Path, name: str) -> Certificate:
    """A platform's certificate.

    Raises:
        DataMissingError: the platform has none; the message names those that have.
        DataInvalidError: it is damaged.
    """
    if name not in (known := certified(folder)):
        raise DataMissingError(
            f"{folder} holds no certificate of {name!r}", hint=f"it has: {', '.join(known)}"
        )
    return Certificate.load(folder / CERTIFICATES / f"{name}.json")


def verify(folder: Path, name: str) -> Verification:
    """Measure a certificate again from the stored models and the platform's data.

    Nothing is trained. Newcomers' limited training users are not stored: certificates are issued
    for platforms with all of theirs.

    Raises:
        DataMissingError, DataInvalidError: certificate, data or a model is absent or damaged.
    """
    written = read_certificate(folder, name)
    workspace = Workspace(load_platform(folder / PLATFORMS / name), written.max_events)
    models = read_models(tuple(written.models), folder / PRIVATE / name)
    judged = Judged(
        models, written.candidate, written.own, written.release, written.seed, written.past
    )
    again = certify(workspace, judged)
    return Verification(
        certificate=written,
        deviations=tuple(deviations(written, again)),
        stored_ranks=tuple(key for key, model in models.items() if model.kind == "ranks"),
        same_code=written.code_sha256 == code_digest(),
    )


def deviations(written: Certificate, found: Certificate) -> Iterator[Deviation]:
    """Every field in which two certificates differ, apart from how and when they were made."""
    theirs, ours = (
        dict(_flat(each.model_dump(mode="json", exclude=set(_TOLD_ASIDE)), ""))
        for each in (written, found)
    )
    for field in sorted(theirs.keys() | ours.keys()):
        before, after = theirs.get(field), ours.get(field)
        if not _same(before, after) and field != "reason":
            yield Deviation(field, before, after)


def _flat(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _flat(inner, f"{name}.{key}" if name else key)
    else:
        yield name, value


def _same(before: Any, after: Any) -> bool:
    """Equal; figures up to the tolerance."""
    if isinstance(before, float) and isinstance(after, float):
        return abs(before - after) <= TOLERANCE * max(1.0, abs(before))
    return bool(before == after)
