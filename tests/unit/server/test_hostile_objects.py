"""Replies whose objects are made to cost the server its time, its memory or its stack."""

import sqlite3

import pytest
from flwr.supercore.inflatable.inflatable_object import (
    get_object_head_values_from_object_content,
    get_object_id,
)

from isthmus.errors import MessageRefusedError
from isthmus_server.flower import objects
from isthmus_server.flower.link import FlowerLink

pytestmark = pytest.mark.filterwarnings("ignore:No path_separator:DeprecationWarning")  # Flower's


@pytest.fixture
def link(tmp_path):
    return FlowerLink(tmp_path / "flower.sqlite", secret=b"s" * 32, token="t")  # noqa: S106


def made(children, body=b""):
    """An object as Flower writes it."""
    content = f"RecordDict {','.join(children)} {len(body)}".encode() + b"\0" + body
    assert get_object_head_values_from_object_content(content)[1] == list(children)
    return content


def chain(length):
    found = [made([])]
    for _ in range(length):
        found.append(made([get_object_id(found[-1])]))
    return found


def lattice(levels):
    """Two objects a level, each with both of the next: 2 ** levels paths."""
    pair = [made([], b"0"), made([], b"1")]
    found = list(pair)
    for _ in range(levels):
        below = [get_object_id(each) for each in pair]
        pair = [made(below, b"0"), made(below, b"1")]
        found += pair
    return found


def wide(many):
    """Each of many small objects has all of many others below it."""
    leaves = [made([], str(each).encode()) for each in range(many)]
    names = [get_object_id(each) for each in leaves]
    middle = [made(names, str(each).encode()) for each in range(many)]
    return [*leaves, *middle, made([get_object_id(each) for each in middle])]


@pytest.mark.parametrize("given", [chain(2000), lattice(60), wide(400)], ids=["deep", "2^60", "n2"])
def test_a_reply_that_explodes_is_refused(link, given):
    root = get_object_id(given[-1])
    run = link.open_run()
    with link._state.session() as session:
        db = objects.connection_of(session)
        with pytest.raises(MessageRefusedError, match="too deeply"):
            objects.register(db, run, [root], given)


@pytest.mark.parametrize("given", [chain(2000), lattice(60), wide(400)], ids=["deep", "2^60", "n2"])
def test_nor_is_one_handed_out_that_came_object_by_object(given):
    db = sqlite3.connect(":memory:")
    db.execute("CREATE TABLE objects (object_id TEXT, content BLOB, is_available INTEGER)")
    db.execute("CREATE TABLE object_children (parent_id TEXT, child_id TEXT)")
    for content in given:
        name = get_object_id(content)
        db.execute("INSERT INTO objects VALUES (?, ?, 1)", (name, content))
        below = get_object_head_values_from_object_content(content)[1]
        rows = [(name, child) for child in below]
        db.executemany("INSERT INTO object_children VALUES (?, ?)", rows)
    try:
        with pytest.raises(MessageRefusedError, match="too deeply"):
            objects.fetch(db, get_object_id(given[-1]))
    finally:
        db.close()


def test_a_message_of_the_usual_depth_passes(link):
    given = chain(objects.MAX_DEPTH - 1)
    root = get_object_id(given[-1])
    run = link.open_run()
    with link._state.session() as session:
        db = objects.connection_of(session)
        objects.register(db, run, [root], given)
        tree, contents = objects.fetch(db, root)
    assert tree.object_id == root
    assert len(contents) == objects.MAX_DEPTH
