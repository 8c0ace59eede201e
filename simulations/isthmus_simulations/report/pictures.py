"""The 2-D pictures of items: before (content) and after (encoder), linear and non-linear."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE

from isthmus_simulations.report.scales import padded

Vectors = npt.NDArray[np.float32]

SIDE = 300.0  # of a picture, in its own units
MOST_POINTS = 1200  # beyond, t-SNE takes long and points cover each other
_COLOURS = 8  # platforms beyond share the last colour
_LONGEST_TEXT = 90  # characters of an item's text that a tip shows
_FEWEST = 8  # items; below, a map says nothing


@dataclass(frozen=True)
class Pictures:
    """A sample of items over all platforms, row by row.

    Attributes:
        content: vectors of the frozen text encoder. (n, content)
        encoder: the shared encoder's item representations. (n, d)
        platforms: each item's platform. (n,)
        categories: each item's category, "" where unknown. (n,)
        texts: each item's text, shown on pointing at it. (n,)
    """

    content: Vectors
    encoder: Vectors
    platforms: tuple[str, ...]
    categories: tuple[str, ...]
    texts: tuple[str, ...]

    def __post_init__(self) -> None:
        rows = (len(self.encoder), len(self.platforms), len(self.categories), len(self.texts))
        if any(count != len(self.content) for count in rows):
            raise ValueError(f"pictures: {len(self.content)} content vectors, but {rows} rows")

    def __len__(self) -> int:
        return len(self.content)


@dataclass(frozen=True)
class Cloud:
    """One platform's points; `css` is its colour's class, `path` one dot for each point."""

    platform: str
    css: str
    path: str


@dataclass(frozen=True)
class Picture:
    """One map of all items."""

    title: str
    note: str
    clouds: tuple[Cloud, ...]
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Gallery:
    """All maps, with what the page's script needs to name a point under the pointer.

    Attributes:
        legend: (platform, colour's class, items drawn).
        items: (place in `legend`, category, text) of each point.
    """

    pictures: tuple[Picture, ...]
    legend: tuple[tuple[str, str, int], ...]
    items: tuple[tuple[int, str, str], ...]


def gallery(pictures: Pictures, seed: int = 0) -> Gallery | None:
    """Draw the maps; None where there are too few items for one.

    PCA: Pearson (1901). t-SNE: van der Maaten and Hinton (2008), started from PCA.
    """
    kept = _sample(pictures, seed)
    if len(kept) < _FEWEST:
        return None
    names = tuple(dict.fromkeys(pictures.platforms))
    owners = np.array([names.index(pictures.platforms[i]) for i in kept])
    maps = (
        _picture(title, note, projected, owners, names)
        for title, note, projected in _projections(pictures, kept, seed)
    )
    return Gallery(
        pictures=tuple(maps),
        legend=tuple((n, _css(i), int((owners == i).sum())) for i, n in enumerate(names)),
        items=tuple(
            (int(owner), pictures.categories[i], _short(pictures.texts[i]))
            for i, owner in zip(kept, owners, strict=True)
        ),
    )


def _sample(pictures: Pictures, seed: int) -> list[int]:
    """At most MOST_POINTS rows, drawn evenly over all, in a random order of drawing."""
    order = np.random.default_rng(seed).permutation(len(pictures))
    return [int(row) for row in order[:MOST_POINTS]]


def _projections(
    pictures: Pictures, kept: Sequence[int], seed: int
) -> list[tuple[str, str, npt.NDArray[Any]]]:
    """Title, note and (n, 2) places of each map."""
    found = []
    for vectors, what in ((pictures.content, "Text alone"), (pictures.encoder, "Shared encoder")):
        rows = vectors[list(kept)].astype(np.float64)  # (n, dim)
        found.append((f"{what}, PCA", *_pca(rows)))
        found.append((f"{what}, t-SNE", "", _tsne(rows, seed)))
    return found


def _pca(rows: npt.NDArray[np.float64]) -> tuple[str, npt.NDArray[Any]]:
    """The two directions of most variance, and how much of it they hold."""
    if not rows.std(axis=0).any():
        return "all items coincide", np.zeros((len(rows), 2))
    model = PCA(n_components=2, svd_solver="full").fit(rows)
    held = float(model.explained_variance_ratio_.sum())
    return f"{100 * held:.0f} % of the variance", model.transform(rows)


def _tsne(rows: npt.NDArray[np.float64], seed: int) -> npt.NDArray[Any]:
    """A map that keeps neighbours together; distances between groups mean little."""
    if not rows.std(axis=0).any():
        return np.zeros((len(rows), 2))
    perplexity = min(30.0, (len(rows) - 1) / 3)
    model = TSNE(perplexity=perplexity, init="pca", max_iter=500, random_state=seed)
    return np.asarray(model.fit_transform(rows))


def _picture(
    title: str, note: str, places: npt.NDArray[Any], owners: npt.NDArray[Any], names: Sequence[str]
) -> Picture:
    """Scale one map to its square and gather each platform's dots."""
    x = padded(places[:, 0].tolist(), 0.0, SIDE, pad=0.03)
    y = padded(places[:, 1].tolist(), SIDE, 0.0, pad=0.03)
    points = tuple((round(x(a), 1), round(y(b), 1)) for a, b in places.tolist())
    clouds = (
        Cloud(name, _css(i), _dots(points[j] for j in np.flatnonzero(owners == i)))
        for i, name in enumerate(names)
    )
    return Picture(title, note, tuple(clouds), points)


def _dots(points: Any) -> str:
    """One path of zero-length strokes: round caps make each a dot, at a tenth of the bytes."""
    return "".join(f"M{x:g} {y:g}h0" for x, y in points)


def _css(place: int) -> str:
    return f"c{min(place, _COLOURS - 1)}"


def _short(text: str) -> str:
    line = " ".join(text.split())
    return (
        line
        if len(line) <= _LONGEST_TEXT
        else line[: _LONGEST_TEXT - 1] + "\N{HORIZONTAL ELLIPSIS}"
    )
