"""A platform's catalogue: items with text. Catalogue content is not user data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Catalogue:
    """Items in a fixed order; everywhere else an item is its row number here.

    Attributes:
        item_ids: the platform's own ids, unique. (items,)
        texts: what the text encoder reads. (items,)
        categories: the platform's category, "" where unknown. (items,)
        prices: in the platform's currency, NaN where unknown. (items,)
    """

    item_ids: tuple[str, ...]
    texts: tuple[str, ...]
    categories: tuple[str, ...]
    prices: npt.NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.item_ids)
