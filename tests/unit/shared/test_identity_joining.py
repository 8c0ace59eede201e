"""A request to join is its signer's, whole, and not larger than it need be."""

import json
from dataclasses import replace

import pytest
from identities import site

from isthmus.errors import IdentityError
from isthmus.identity import JoinRequest, PlatformKeys, PublicKeys

TOKEN = "t0ken-of-an-invitation"  # noqa: S105 - invites nobody


@pytest.fixture(name="keys", scope="module")
def _keys():
    return PlatformKeys.fresh()


@pytest.fixture(name="request_", scope="module")
def _request(keys):
    return JoinRequest.make("books", keys, site().csr, TOKEN)


def test_a_request_comes_back_as_it_was(request_, keys):
    again = JoinRequest.from_bytes(request_.to_bytes())
    assert again == request_
    assert again.keys == keys.public


def test_the_token_is_not_shown(request_):
    assert TOKEN not in repr(request_)


def others(request):
    """The request with one part of another, each."""
    keys = PlatformKeys.fresh().public
    yield replace(request, name="Books")
    yield replace(request, keys=keys)
    yield replace(request, keys=PublicKeys(keys.signing, request.keys.node))
    yield replace(request, keys=PublicKeys(request.keys.signing, keys.node))
    yield replace(request, csr_pem=site().csr)
    yield replace(request, token=TOKEN[1:])
    yield replace(request, signature=bytes(64))
    yield replace(request, signature=b"")


def test_no_part_can_be_exchanged(request_):
    for each in others(request_):
        with pytest.raises(IdentityError):
            each.verify()
        with pytest.raises(IdentityError):
            JoinRequest.from_bytes(each.to_bytes())


def test_a_certificate_request_for_another_name_is_refused_where_it_is_made(keys):
    with pytest.raises(IdentityError, match="is for 'CN=toys'"):
        JoinRequest.make("books", keys, site("toys").csr, TOKEN)


@pytest.mark.parametrize("token", ["", "x" * 257, "tökën"])
def test_a_token_is_a_short_word(keys, token):
    with pytest.raises(IdentityError, match=r"^the invitation's token is none of ours$"):
        JoinRequest.make("books", keys, site().csr, token)


def altered(request, **values):
    return json.dumps({**json.loads(request.to_bytes()), **values}).encode()


@pytest.mark.parametrize(
    "values",
    [
        {"more": "x"},
        {"name": 7},
        {"name": "\ud800"},
        {"node": "\ud800"},
        {"csr": "x" * 9_000},
        {"signing": "xy"},
        {"signature": ["a"]},
        {"token": None},
    ],
)
def test_odd_fields_are_refused(request_, values):
    with pytest.raises(IdentityError):
        JoinRequest.from_bytes(altered(request_, **values))


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b"null", b"\xff", b"[" * 9_000, b"{}", b'{"name": "books"}']
)
def test_what_is_no_request(data):
    with pytest.raises(IdentityError, match="request to join"):
        JoinRequest.from_bytes(data)


def test_a_large_request_is_not_even_read(request_):
    with pytest.raises(IdentityError, match="at most 16384 pass"):
        JoinRequest.from_bytes(altered(request_, csr="x" * 16_384))
