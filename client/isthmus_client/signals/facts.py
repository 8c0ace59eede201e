"""What is counted and fitted at a cut, once for everybody: statistics of users and items."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import cast

import numpy as np
import numpy.typing as npt
from scipy import sparse

from isthmus_client.baselines import interactions
from isthmus_client.platform import Platform
from isthmus_client.signals.collaborative import Collaborative, fit_collaborative
from isthmus_client.signals.cut import Cut
from isthmus_client.signals.items import item_signals
from isthmus_client.signals.level import level
from isthmus_client.workspace import Workspace

Columns = npt.NDArray[np.float32]

_DECADE = float(np.log(10.0))


@dataclass(frozen=True)
class Facts:
    """Statistics of one platform at one cut; each is computed when it is first read.

    Of 15 000 items those for neighbours, ridge and transitions take about 120 MB.
    """

    platform: Platform
    cut: Cut

    @property
    def items(self) -> int:
        """Size of the catalogue."""
        return len(self.platform.catalogue)

    @cached_property
    def known(self) -> sparse.csr_matrix:
        """1 where a user met an item before the cut. (users, items)."""
        known = interactions(self.platform.histories, self.cut.stop, self.items)
        known.data[:] = 1.0
        return known

    @cached_property
    def users(self) -> Columns:
        """Log of the users behind the statistics, about -3 for none and 1 for 10 000. (1, 1)."""
        count = np.count_nonzero(np.diff(self._counts.indptr))
        return np.full((1, 1), np.log1p(count) / _DECADE - 3.0, dtype=np.float32)

    @cached_property
    def collaborative(self) -> Collaborative:
        """What users who met the same items tell."""
        return fit_collaborative(self.platform.histories, self.cut.counted, self._counts)

    @cached_property
    def item_columns(self) -> dict[str, Columns]:
        """Signals of an item alone by name, made level. each (1, items)."""
        made = item_signals(self.platform.histories, self.cut.counted, self.items)
        return {name: level(column[None, :]) for name, column in made.items()}

    @cached_property
    def categories(self) -> sparse.csr_matrix:
        """1 where an item is of a category. (items, categories)."""
        names = self.platform.catalogue.categories
        codes = np.unique(np.asarray(names, dtype=object).astype(str), return_inverse=True)[1]
        ones = np.ones(codes.size, dtype=np.float32)
        return sparse.csr_matrix((ones, (np.arange(codes.size), codes)))

    @cached_property
    def category_sizes(self) -> npt.NDArray[np.float64]:
        """Items of each category. (categories,)."""
        return np.bincount(self.categories.indices).astype(np.float64)

    @cached_property
    def category_popularity(self) -> Columns:
        """Log of the users' items in each item's category, made level. (1, items)."""
        users = np.bincount(self._counts.indices, minlength=self.items)
        total = self.categories @ (self.categories.T @ users)
        return level(np.asarray(np.log1p(total), dtype=np.float32)[None, :])

    @cached_property
    def met(self) -> sparse.csr_matrix:
        """1 where a user who counts met an item, rows scaled to length one. (users, items)."""
        met = self._counts.copy().astype(np.float32)
        met.data[:] = 1.0
        sizes = np.sqrt(np.maximum(np.diff(met.indptr), 1))
        return (sparse.diags_array((1.0 / sizes).astype(np.float32)) @ met).tocsr()

    @cached_property
    def met_by(self) -> sparse.csr_matrix:
        """The same from items to users. (items, users)."""
        return self.met.T.tocsr()

    @cached_property
    def log_prices(self) -> Columns:
        """NaN where unknown. (items,)."""
        prices = self.platform.catalogue.prices
        return np.log(np.where(prices > 0, prices, np.nan)).astype(np.float32)

    @cached_property
    def _counts(self) -> sparse.csr_matrix:
        """How often each user who counts met each item. (users, items)."""
        return interactions(self.platform.histories, self.cut.counted, self.items)


def facts_at(workspace: Workspace, cut: Cut) -> Facts:
    """The statistics of a cut, the same object for everybody as long as the workspace keeps it."""
    made = workspace.facts.get(cut.key, lambda: Facts(workspace.platform, cut))
    return cast("Facts", made)  # the workspace lies below the signals and cannot name the type
