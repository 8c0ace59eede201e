"""Traces of a user id in bytes: as it is, encoded, hashed without a key."""

import base64
import hashlib
import json
import traceback
from urllib.parse import quote


def traces(user_id):
    """{what it is: bytes} by any of which an id would be betrayed."""
    plain = user_id.encode()
    sha = hashlib.sha256(plain)
    found = {
        "utf-8": plain,
        "utf-16 le": user_id.encode("utf-16-le"),
        "utf-16 be": user_id.encode("utf-16-be"),
        "utf-32 le": user_id.encode("utf-32-le"),
        "hex": plain.hex().encode(),
        "HEX": plain.hex().upper().encode(),
        "JSON": json.dumps(user_id)[1:-1].encode(),
        "URL": quote(user_id, safe="").encode(),
        "CSV": user_id.replace('"', '""').encode(),
        "repr": repr(user_id)[1:-1].encode(),
        "bytes' repr": repr(plain)[2:-1].encode(),
        "reversed": plain[::-1],
        "SHA-256": sha.digest(),
        "SHA-256 hex": sha.hexdigest().encode(),
        "SHA-256 base64": base64.b64encode(sha.digest()),
        "SHA-1 hex": hashlib.sha1(plain).hexdigest().encode(),  # noqa: S324 - what others may do
        "MD5 hex": hashlib.md5(plain).hexdigest().encode(),  # noqa: S324
    }
    for shift in range(3):  # base64 of any text around it
        encoded = base64.b64encode(b"\0" * shift + plain)[4 * bool(shift) :]
        found[f"base64 shifted by {shift}"] = encoded.rstrip(b"=")[:-1]
    return found


def betrayed(ids, places):
    """Where ids show: [(place, how)]; the id itself is not in the answer.

    Args:
        ids: each long enough to stand nowhere by accident.
        places: {name: bytes}.
    """
    return [
        (name, how, number)
        for number, user_id in enumerate(ids)
        for how, trace in traces(user_id).items()
        for name, data in places.items()
        if trace in data
    ]


def spoken(error):
    """All that an exception says or carries, and every exception behind it."""
    said, left, met = [], [error], set()
    while left:
        one = left.pop()
        if one is None or id(one) in met:
            continue
        met.add(id(one))
        values = [str(one), repr(one), repr(one.args), *map(repr, vars(one).values())]
        said += [*values, *getattr(one, "__notes__", ())]
        left += [one.__cause__, one.__context__]
    said += traceback.format_exception(error)
    return "\n".join(said).encode("utf-8", "surrogatepass")
