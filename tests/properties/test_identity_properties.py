"""Whatever bytes a stranger sends as a request or certificate: refused, or just what was made."""

import json
from functools import cache

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st
from identities import common_authority, site

from isthmus.errors import IdentityError
from isthmus.identity import (
    JoinRequest,
    PlatformKeys,
    checked_name,
    fingerprint_of,
    platform_of,
    require_issued,
    same_fingerprint,
)
from isthmus.identity.certificates import load_certificate, require_request

NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", fullmatch=True)
TOKENS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=60)
QUICK = settings(deadline=None, max_examples=60)


@cache
def keys():
    return PlatformKeys.fresh()


@cache
def book():
    return site()


@cache
def whole_request():
    return JoinRequest.make("books", keys(), book().csr, "token")


@cache
def certificate():
    return load_certificate(common_authority().issue_platform(book().csr, "books", 1))


def flipped(data, draw):
    """One bit of the bytes is another."""
    at = draw(st.integers(0, len(data) - 1))
    return data[:at] + bytes([data[at] ^ (1 << draw(st.integers(0, 7)))]) + data[at + 1 :]


@QUICK
@given(NAMES, TOKENS)
def test_names_and_tokens_come_back_from_requests_and_certificates(name, token):
    own = site(name)
    request = JoinRequest.make(name, keys(), own.csr, token)
    assert JoinRequest.from_bytes(request.to_bytes()) == request
    pem = common_authority().issue_platform(own.csr, name, 1)
    found = require_issued(
        pem, authority_pem=common_authority().certificate_pem, name=name, key=own.key
    )
    assert found.platform == name


@QUICK
@given(st.text(max_size=70))
def test_a_text_is_a_name_or_refused(text):
    plain = text.replace("-", "a").replace("_", "a")
    good = 0 < len(text) <= 64 and plain.isascii() and plain.isalnum() and text[0] not in "-_"
    if good:
        assert checked_name(text) == text
    else:
        with pytest.raises(IdentityError):
            checked_name(text)


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_a_bit_flipped_in_a_request_is_refused_or_changes_nothing(data):
    try:
        found = JoinRequest.from_bytes(flipped(whole_request().to_bytes(), data.draw))
    except IdentityError:
        return
    assert found == whole_request()  # a hexadecimal digit in the other case


@pytest.mark.filterwarnings("ignore:Parsed a serial number:UserWarning")
@settings(deadline=None, max_examples=300)
@given(st.data())
def test_a_bit_flipped_in_a_certificate_is_refused(data):
    der = certificate().public_bytes(Encoding.DER)
    with pytest.raises(IdentityError):
        require_issued(
            flipped(der, data.draw),
            authority_pem=common_authority().certificate_pem,
            name="books",
            key=book().key,
        )


@settings(deadline=None, max_examples=150)
@given(st.data())
def test_a_bit_flipped_in_a_certificate_request_gives_no_other_key(data):
    try:
        key = require_request(flipped(book().csr, data.draw), "books")
    except IdentityError:
        return
    assert key == book().key.public_key()


@QUICK
@given(st.binary(max_size=300))
def test_random_bytes_are_no_identity(data):
    for read in (JoinRequest.from_bytes, platform_of, PlatformKeys.from_bytes):
        with pytest.raises(IdentityError):
            read(data)


@QUICK
@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=5), inner),
    ),
    st.sampled_from(["name", "signing", "node", "csr", "token", "signature"]),
)
def test_any_json_in_a_field_is_refused(value, field):
    stored = json.loads(whole_request().to_bytes())
    with pytest.raises(IdentityError):
        JoinRequest.from_bytes(json.dumps({**stored, field: value}).encode())


@QUICK
@given(st.lists(st.binary(max_size=8), max_size=4), st.lists(st.binary(max_size=8), max_size=4))
def test_fingerprints_are_the_same_for_the_same_parts_alone(one, other):
    same = same_fingerprint(fingerprint_of(*one), fingerprint_of(*other).upper())
    assert same == (one == other)
