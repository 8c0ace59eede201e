"""Flower's object store, many objects at once: its own way takes ten statements for each.

A message is a tree of objects, each named by the SHA-256 of its bytes, which name its children. The
tables are Flower's, and so is what they hold afterwards: a test compares both ways, row by row.
All functions work inside the caller's transaction.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import count
from typing import Any, Final

from flwr.proto.message_pb2 import ObjectTree
from flwr.supercore.inflatable.inflatable_object import (
    UnexpectedObjectContentError,
    get_object_children_ids_from_object_content,
    get_object_id,
)
from flwr.supercore.inflatable.inflatable_utils import validate_object_content
from flwr.supercore.utils import uint64_to_int64

from isthmus.errors import MessageRefusedError

MAX_DEPTH: Final = 8
"""Objects below each other; a message, its records, an array and its pieces are five."""

MAX_NODES: Final = 100_000
"""Of a message's tree, in which an object stands as often as others refer to it."""

_IN = "IN (SELECT value FROM json_each(?))"


def connection_of(session: Any) -> sqlite3.Connection:
    """The SQLite connection of an open SQLAlchemy session: the same transaction."""
    found: sqlite3.Connection = session.connection().connection.driver_connection
    return found


def register(
    db: sqlite3.Connection, run: int, roots: Iterable[str], objects: Iterable[bytes]
) -> None:
    """Store messages' objects; those that are there already are left as they are.

    Args:
        db: in a transaction.
        run: Flower's, whose end forgets them.
        roots: names of the messages.
        objects: bytes of all objects that may be needed.

    Raises:
        MessageRefusedError: an object is missing, malformed, or names a child twice, or there are
            more of them than `fetch` hands out.
    """
    given, tops = {get_object_id(content): content for content in objects}, list(roots)
    needed = _walked(tops, given, _known(db, given.keys() | {*tops}))
    for top in tops:
        _tree(top, needed, count(), whole=False)
    known = _known(db, needed)
    new = {name: content for name, content in needed.items() if name not in known}
    edges = [(name, child) for name, content in new.items() for child in _children(content)]
    lacking = [name for name in needed if known.get(name) == 0]
    try:
        db.executemany(
            "INSERT INTO objects (object_id, content, is_available, ref_count) VALUES (?, ?, 1, 0)",
            new.items(),
        )
        db.executemany(
            "UPDATE objects SET content = ?, is_available = 1 WHERE object_id = ?",
            [(needed[name], name) for name in lacking],
        )
        db.executemany("INSERT INTO object_children (parent_id, child_id) VALUES (?, ?)", edges)
        db.executemany(
            "UPDATE objects SET ref_count = ref_count + 1 WHERE object_id = ?",
            [(child,) for _, child in edges],
        )
        _belong(db, run, needed)
    except sqlite3.IntegrityError as error:
        raise MessageRefusedError(f"the objects of a message do not fit: {error}") from None


def _belong(db: sqlite3.Connection, run: int, names: Iterable[str]) -> None:
    """Note that a run uses objects."""
    number = uint64_to_int64(run)
    db.executemany(
        "INSERT OR IGNORE INTO run_objects (run_id, object_id) VALUES (?, ?)",
        [(number, name) for name in names],
    )


def _walked(
    roots: list[str], given: Mapping[str, bytes], known: Mapping[str, int]
) -> dict[str, bytes]:
    """All objects below the roots that were given, parents first."""
    found: dict[str, bytes] = {}
    open_ = list(roots)
    while open_:
        name = open_.pop()
        if name in found:
            continue
        if name in given:
            found[name] = given[name]
            open_ += _children(given[name])
        elif not known.get(name):
            raise MessageRefusedError("a message came without some of its objects")
    return found


def _children(content: bytes) -> list[str]:
    try:
        validate_object_content(content)
    except UnexpectedObjectContentError as error:
        raise MessageRefusedError(f"an object of a message is malformed: {error}") from None
    return [name for name in get_object_children_ids_from_object_content(content) if name]


def _known(db: sqlite3.Connection, names: Collection[str]) -> dict[str, int]:
    """Which objects are there, and whether they have their bytes."""
    query = f"SELECT object_id, is_available FROM objects WHERE object_id {_IN}"  # noqa: S608
    return dict(db.execute(query, (json.dumps(list(names)),)))


def fetch(db: sqlite3.Connection, root: str) -> tuple[ObjectTree, tuple[bytes, ...]]:
    """A message's tree, and its objects, each once.

    Raises:
        MessageRefusedError: it is not all there, or larger as a tree than any message of ours.
    """
    query = """
        WITH RECURSIVE tree (name) AS (
            VALUES (?)
            UNION SELECT child_id FROM object_children JOIN tree ON parent_id = name
        )
        SELECT object_id, content FROM objects JOIN tree ON object_id = name WHERE is_available = 1
    """
    contents: dict[str, bytes] = dict(db.execute(query, (root,)))
    return _tree(root, contents, count()), tuple(contents.values())


def _tree(
    name: str,
    contents: Mapping[str, bytes],
    nodes: Iterator[int],
    *,
    depth: int = 1,
    whole: bool = True,
) -> ObjectTree:
    """What is below an object.

    Objects may share their children: as a tree, 80 small ones can be more than any memory holds.

    Args:
        name: of the object.
        contents: of all that may be below it.
        nodes: counts those of the whole tree.
        depth: of this object in it.
        whole: refuse where a content is missing; else nothing is below it.
    """
    if depth > MAX_DEPTH or next(nodes) >= MAX_NODES:
        raise MessageRefusedError("the objects of a message are nested too deeply, or too many")
    if whole and name not in contents:
        raise MessageRefusedError("some objects of a message are not there")
    below = _children(contents[name]) if name in contents else []
    trees = [_tree(each, contents, nodes, depth=depth + 1, whole=whole) for each in below]
    return ObjectTree(object_id=name, children=trees)


def forget(db: sqlite3.Connection, roots: Iterable[str]) -> None:
    """Delete messages' objects, and what nothing else refers to below them."""
    names = json.dumps(list(roots))
    idle = f"SELECT object_id FROM objects WHERE ref_count = 0 AND object_id {_IN}"  # noqa: S608
    below = f"""
        SELECT child_id, COUNT(*) FROM object_children WHERE parent_id {_IN} GROUP BY child_id
    """  # noqa: S608
    while gone := [name for (name,) in db.execute(idle, (names,))]:
        level = json.dumps(gone)
        children = list(db.execute(below, (level,)))
        db.execute(f"DELETE FROM objects WHERE object_id {_IN}", (level,))  # noqa: S608
        db.executemany(
            "UPDATE objects SET ref_count = ref_count - ? WHERE object_id = ?",
            [(count, child) for child, count in children],
        )
        names = json.dumps([child for child, _ in children])
