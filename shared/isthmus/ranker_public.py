"""The public ranker: learned from public purchases, for platforms that federate no ranker.

Under differential privacy no ranker is federated. How far to trust popularity, neighbours, text and
trend differs little from shop to shop, so one that was trained on purchases which anybody may read
serves better than a mixture made by hand, and costs no user's privacy. The purchases are those that
come with the installation (Complete Journey 2.0); decision 24 says how it was made and what it is
worth.
"""

from __future__ import annotations

from importlib import resources
from typing import Final, Literal

from safetensors import SafetensorError
from safetensors.torch import load

from isthmus.errors import DataInvalidError
from isthmus.ranker import RankerConfig, SharedRanker, initial_ranker

RankerStart = Literal["mixture", "public"]
"""Where a ranker starts: a mixture that no data went into, or the public ranker."""

FILE: Final = "ranker_public.safetensors"


def public_ranker() -> SharedRanker:
    """The ranker that comes with the installation.

    Guarantees:
        A constant: a function of no platform's data.

    Raises:
        DataInvalidError: the installed file is damaged.
    """
    ranker = initial_ranker(RankerConfig(), seed=0)
    try:
        ranker.load_state_dict(load(resources.files("isthmus").joinpath(FILE).read_bytes()))
    except (OSError, RuntimeError, SafetensorError) as error:
        raise DataInvalidError(
            f"the public ranker {FILE} cannot be read: {error}", hint="install Isthmus again"
        ) from error
    return ranker


def starting_ranker(start: RankerStart, seed: int) -> SharedRanker:
    """A ranker before any training of one's own.

    Args:
        seed: of the mixture's hidden layer; the public ranker has none.
    """
    return public_ranker() if start == "public" else initial_ranker(RankerConfig(), seed)
