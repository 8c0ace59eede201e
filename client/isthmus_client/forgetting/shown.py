"""What `isthmus client forget` says: words for a person, values for JSON."""

from __future__ import annotations

from typing import Any

from isthmus_client.forgetting.removing import Forgotten
from isthmus_client.forgetting.verifying import Verified
from isthmus_client.forgetting.words import counted, rows_in_words


def done_words(found: Forgotten) -> str:
    """What was removed, what is still owed, and where the receipts are."""
    persons, absent = len(found.receipts), sum(not each.removed for each in found.receipts)
    are = "is" if persons == 1 else "are"
    lines = [
        f"{counted(persons, 'person')} {are} forgotten. Removed: {rows_in_words(found.removed)}."
    ]
    if absent:
        lines.append(f"Nothing was stored of {absent:,} of them; they are kept away all the same.")
    lines += [f"The store is at generation {found.generation}.", "What is left:"]
    lines += [f"  {each}" for each in found.receipts[0].statements]
    lines += [f"Receipt: {path}" for path in found.files]
    return "\n".join(lines)


def done_value(found: Forgotten) -> dict[str, Any]:
    """The same for JSON."""
    pairs = zip(found.files, found.receipts, strict=True)
    return {
        "persons": len(found.receipts),
        "generation": found.generation,
        "removed": found.removed,
        "receipts": [
            {"file": str(path), "pseudonym": each.pseudonym, "removed": each.removed}
            for path, each in pairs
        ],
        "owed": found.owed.model_dump(mode="json"),
        "statements": list(found.receipts[0].statements),
    }


def verified_words(found: Verified) -> str:
    """What was found true of a receipt."""
    receipt = found.receipt
    signed = (
        f"The receipt is as it was signed at {receipt.time} for the platform {receipt.platform}, "
        f"by the key {receipt.public_key}."
    )
    if found.generation is None:
        alone = "There are no keys here: whose key that is was not looked at, nor any store."
        return f"{signed}\n{alone}"
    lines = [
        signed,
        f"That is the key of this platform, key id {receipt.key_id}.",
        (
            f"Its store, generation {found.generation}, holds nothing of the person and keeps them "
            "away."
        ),
    ]
    if found.person:
        lines.append("It is the receipt of the person named.")
    return "\n".join(lines)


def verified_value(found: Verified) -> dict[str, Any]:
    """The same for JSON."""
    return {
        "genuine": True,
        "generation": found.generation,
        "person": found.person,
        "receipt": found.receipt.model_dump(mode="json"),
    }
