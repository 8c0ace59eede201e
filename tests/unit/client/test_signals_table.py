"""Every signal of the table against its slow truth, on a platform that has everything."""

import math
from dataclasses import replace

import numpy as np
import pytest
from planted_histories import histories_of, platform_of, random_platform
from slow_signals import (
    slow_cosines,
    slow_ease,
    slow_item_signals,
    slow_known,
    slow_last_moment,
    slow_level,
    slow_recent,
    slow_svd,
    slow_transitions,
)

from isthmus.encoder import EncoderConfig, initial_encoder
from isthmus.ranker import SIGNALS
from isthmus_client.content import whiten
from isthmus_client.evaluate import Evaluator
from isthmus_client.histories import split_by_time
from isthmus_client.signals import table as table_module
from isthmus_client.signals.cut import window_cut
from isthmus_client.signals.items import ITEM_SIGNALS
from isthmus_client.signals.table import CONTENT, SignalTable
from isthmus_client.workspace import Workspace

CONFIG = EncoderConfig(content=6, dim=8, layers=1, heads=2, max_events=6)
USERS, ITEMS, DAY = 26, 17, 86_400
LEVELS = {"history_length", "users"}  # the same for all items
TIMED = set(ITEM_SIGNALS) - {"popularity", "repeats"}


def rich_platform(*, timed=True):
    """Baskets over 200 days, categories and prices with gaps; some begin after the cut."""
    random = np.random.default_rng(8)
    users = []
    for _ in range(USERS):
        moments = np.sort(random.integers(20, size=random.integers(2, 12))) * 10 * DAY
        items = np.minimum(random.geometric(0.12, size=moments.size) - 1, ITEMS - 1)
        users.append(list(zip(items.tolist(), moments.tolist(), strict=True)))
    histories = histories_of(*users, timed=timed)
    split = split_by_time(histories, 120 * DAY, 160 * DAY)
    platform = platform_of(histories, ITEMS, split=split)
    names = tuple(random.choice(["tea", "pens", ""], size=ITEMS).tolist())
    prices = random.lognormal(size=ITEMS).astype(np.float32)
    prices[[2, 5]] = (np.nan, 0.0)
    return replace(platform, catalogue=replace(platform.catalogue, categories=names, prices=prices))


@pytest.fixture(scope="module")
def workspace():
    """Six users do not train: their past is known for themselves alone."""
    return Workspace(rich_platform(), CONFIG.max_events, np.arange(0, USERS - 6))


def like_minded(known, met, kept):
    """Users by what they share with one, and what the best of them met. (items,)."""
    sizes = [max(row.sum(), 1.0) ** 0.5 for row in met]
    similar = [known @ row / size for row, size in zip(met, sizes, strict=True)]
    worst = sorted(similar)[-kept] if kept < len(similar) else 0.0
    chosen = [(s, row / z) for s, row, z in zip(similar, met, sizes, strict=True) if s >= worst]
    return sum(s * row for s, row in chosen)


def in_category(names, known):
    """Log share of what is known that is in each item's category. (items,)."""
    total = max(known.sum(), 1.0)
    return [
        math.log(
            sum(k for k, other in zip(known, names, strict=True) if other == name) / total + 0.01
        )
        for name in names
    ]


def price_gaps(prices, known):
    logs = [math.log(p) if p > 0 else None for p in prices]
    own = [log for log, k in zip(logs, known, strict=True) if k and log is not None]
    return [0.0 if log is None or not own else abs(log - sum(own) / len(own)) for log in logs]


def slow_signals(workspace, cut, kept):
    """Everything but the encoder's score, user by user. {name: (users, items)}."""
    platform, histories = workspace.platform, workspace.platform.histories
    place = (histories, cut.stop)
    met = np.array([slow_known(histories, cut.counted, u, ITEMS) for u in range(USERS)])
    flat = slow_item_signals(histories, cut.counted, ITEMS)
    cosines, ease, svd = slow_cosines(met), slow_ease(met), slow_svd(met)
    follow = slow_transitions(histories, cut.counted, ITEMS)
    content = whiten(platform.vectors)
    alike = np.maximum(content @ content.T, 0) * (1 - np.eye(ITEMS))
    names, prices = platform.catalogue.categories, platform.catalogue.prices
    popular = [
        sum(met.sum(axis=0)[i] for i, other in enumerate(names) if other == name) for name in names
    ]
    made = {name: [] for name in SIGNALS if name != "content"}
    for user in range(USERS):
        known = slow_known(*place, user, ITEMS)
        recent, basket = (
            slow_recent(*place, user, ITEMS, 0.9),
            slow_last_moment(*place, user, ITEMS),
        )
        row = {name: flat[name] for name in ITEM_SIGNALS}
        for name, decay in (("prior_fast", 0.8), ("prior_slow", 0.97)):
            query = slow_recent(*place, user, ITEMS, decay) @ content
            row[name] = content @ query / max(np.linalg.norm(query), 1e-12)
        row |= {
            "knn": np.log1p(10 * (known @ cosines)),
            "knn_recent": np.log1p(10 * (recent @ cosines)),
            "knn_last": np.log1p(10 * (basket @ cosines)),
            "ease": known @ ease,
            "ease_recent": recent @ ease,
            "svd": known @ svd,
            "transition": np.log1p(50 * (recent @ follow)),
            "user_knn": like_minded(known, met, kept),
            "text_knn": recent @ alike,
            "category": in_category(names, known),
            "category_last": in_category(names, basket),
            "category_popularity": np.log1p(popular),
            "price_gap": price_gaps(prices, known),
            "history_length": np.full(ITEMS, np.log1p(known.sum()) / 3 - 1),
            "users": np.full(ITEMS, math.log10(1 + met.any(axis=1).sum()) - 3),
        }
        for name, rows in made.items():
            rows.append(np.asarray(row[name]))
    return {n: np.array(v) if n in LEVELS else slow_level(v) for n, v in made.items()}


@pytest.mark.parametrize("window", ["validation", "test"])
@pytest.mark.parametrize("kept", [100, 3])
def test_every_signal_is_its_slow_truth(workspace, window, kept, monkeypatch):
    monkeypatch.setattr(table_module, "LIKE_MINDED", kept)
    cut = window_cut(workspace, window)
    made = SignalTable(workspace, cut).of(np.arange(USERS))
    expected = slow_signals(workspace, cut, kept)
    for place, name in enumerate(SIGNALS):
        if name == "content":
            assert not made[:, place].any()
        else:
            np.testing.assert_allclose(made[:, place], expected[name], atol=5e-3, err_msg=name)


@pytest.mark.parametrize("window", ["validation", "test"])
def test_the_encoders_signal_ranks_as_the_release_does(workspace, window):
    encoder = initial_encoder(CONFIG, seed=1)
    evaluator = Evaluator(workspace, window, masked=False)
    table = SignalTable(workspace, window_cut(workspace, window), encoder)
    ranking = evaluator.scorer(lambda users: table.of(users)[:, CONTENT])
    np.testing.assert_array_equal(ranking.ndcg, evaluator.content(encoder).ndcg)


def test_blocks_are_the_whole(workspace, monkeypatch):
    monkeypatch.setattr(table_module, "BLOCK", 5)
    table, users = SignalTable(workspace, window_cut(workspace, "test")), np.arange(USERS)[::-1]
    whole = table.of(users)
    seen = np.zeros(USERS, dtype=int)
    for rows, made in table.blocks(users):
        assert len(made) <= 5
        np.testing.assert_allclose(made, whole[rows], atol=1e-5)
        seen[rows] += 1
    assert (seen == 1).all()


def test_each_signal_has_mean_0_and_deviation_1_or_is_0(workspace):
    made = SignalTable(
        workspace, window_cut(workspace, "test"), initial_encoder(CONFIG, seed=1)
    ).of(np.arange(USERS))
    for place, name in enumerate(SIGNALS):
        if name in LEVELS:
            assert (np.ptp(made[:, place], axis=1) == 0).all()
            continue
        spread = made[:, place].std(axis=1)
        np.testing.assert_allclose(made[:, place].mean(axis=1), 0, atol=1e-3, err_msg=name)
        assert (spread < 1.001).all(), name
        assert (spread > 0.6).any(), name


def test_without_times_time_says_nothing():
    workspace = Workspace(random_platform(users=20, items=ITEMS), CONFIG.max_events)
    untimed = replace(workspace.platform.histories, timed=False)
    workspace = replace(workspace, platform=replace(workspace.platform, histories=untimed))
    made = SignalTable(workspace, window_cut(workspace, "test")).of(np.arange(20))
    for name in TIMED:
        assert not made[:, SIGNALS.index(name)].any(), name
    for name in ("popularity", "repeats", "knn", "knn_last", "transition"):
        assert made[:, SIGNALS.index(name)].any(), name


def test_without_categories_and_prices_they_say_nothing():
    workspace = Workspace(random_platform(users=20, items=ITEMS), CONFIG.max_events)
    made = SignalTable(workspace, window_cut(workspace, "test")).of(np.arange(20))
    for name in ("category", "category_last", "category_popularity", "price_gap"):
        np.testing.assert_allclose(made[:, SIGNALS.index(name)], 0, atol=1e-3)


def test_a_catalogue_alone_ranks_by_its_texts(workspace):
    """Nobody trains: the day on which a platform begins."""
    empty = replace(workspace, training_users=np.zeros(0, dtype=np.int64))
    encoder = initial_encoder(CONFIG, seed=1)
    made = SignalTable(empty, window_cut(empty, "test"), encoder).of(np.arange(USERS))
    assert np.isfinite(made).all()
    speak = {"prior_fast", "prior_slow", "text_knn", "category", "category_last", "price_gap"}
    speak |= {"content", *LEVELS}
    for place, name in enumerate(SIGNALS):
        assert (np.abs(made[:, place]).max() > 0.1) == (name in speak), name
