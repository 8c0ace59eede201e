"""Whoever is forgotten leaves a store that never had them, and stays away."""

import tempfile
from pathlib import Path

import numpy as np
from forgetting_cases import erased, filled, hashed, opened_bytes, optional_tables
from hypothesis import given, settings
from hypothesis import strategies as st
from ingest_cases import ITEMS, KEYS, NOW, rows_of, tables, take_in

from isthmus.errors import DataInvalidError
from isthmus_client.store import Store

USERS = ["ann", "bob", "cid", "dan", "eve", "7", "07"]
DAY = 86_400
ROWS = st.lists(
    st.tuples(
        st.sampled_from(USERS),
        st.sampled_from(ITEMS),
        st.integers(0, 120).map(lambda day: NOW - day * DAY),
    ),
    max_size=40,
)
GONE = st.lists(st.sampled_from([*USERS, "nobody"]), min_size=1, max_size=5, unique=True)
SOME = settings(max_examples=15)


def content(folder):
    """All that a store gives."""
    with Store.open(folder / "store", KEYS, writable=False) as store:
        manifest = store.manifest
    shown = [(s.month, s.rows, s.first, s.last) for s in manifest.segments]
    counts = (manifest.events, manifest.user_count, manifest.single_users, manifest.item_count)
    return shown, counts, rows_of(folder), optional_tables(folder), *trained_on(folder)


def trained_on(folder):
    try:
        found = tables(folder)
    except DataInvalidError as error:
        return (str(error),)
    arrays = [getattr(found.histories, n) for n in ("offsets", "items", "behaviours", "times")]
    plain = [(array.dtype.str, array.tolist()) for array in arrays]
    return found.catalogue.item_ids, found.histories.user_ids, plain, found.warnings


@SOME
@given(rows=ROWS, gone=GONE, cut=st.integers(0, 5))
def test_a_store_that_never_had_them(rows, gone, cut):
    """In one step or in two, and after the feeds were read again."""
    with tempfile.TemporaryDirectory() as place:
        one, other = Path(place, "one"), Path(place, "other")
        its_contract = filled(one, rows)
        for step in (gone[:cut], gone[cut:]):
            if step:
                erased(one, *step)
        filled(other, rows, without=gone)
        assert content(one) == content(other)
        take_in(one, its_contract, accept_rejected=True, rebuild=True)
        assert content(one) == content(other)


@SOME
@given(first=ROWS, then=ROWS, gone=GONE)
def test_feeds_that_grow_after_it(first, then, gone):
    """What comes later is taken in, but for those who are gone."""
    with tempfile.TemporaryDirectory() as place:
        one, other = Path(place, "one"), Path(place, "other")
        filled(one, first)
        erased(one, *gone)
        filled(one, [*first, *then])
        filled(other, [*first, *then], without=gone)
        assert content(one) == content(other)


@SOME
@given(rows=ROWS, gone=GONE)
def test_their_pseudonyms_are_among_the_forgotten_alone(rows, gone):
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place, "one")
        filled(folder, rows)
        counts = erased(folder, *gone).rows
        *files, manifest = opened_bytes(folder)
        for pseudonym, person, count in zip(hashed(*gone), gone, counts, strict=True):
            assert count.get("events", 0) == len({row for row in rows if row[0] == person})
            assert not any(pseudonym in part or pseudonym.hex().encode() in part for part in files)
            assert manifest.count(pseudonym.hex().encode()) == 1
        users = np.unique([row[0] for row in rows_of(folder)])
        assert len(users) == len({row[0] for row in rows} - set(gone))
