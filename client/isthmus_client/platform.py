"""One platform's prepared data: what its client trains and evaluates on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from isthmus_client.catalogue import Catalogue
from isthmus_client.histories import Histories, Split


@dataclass(frozen=True)
class Platform:
    """A platform's catalogue, content vectors, histories and their split.

    Attributes:
        vectors: raw embeddings of the frozen text encoder, float32. (items, content)
    """

    name: str
    catalogue: Catalogue
    vectors: npt.NDArray[np.float32]
    histories: Histories
    split: Split
