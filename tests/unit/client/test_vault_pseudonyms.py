import hashlib

from isthmus_client.vault import pseudonym, pseudonyms

KEY = bytes(range(32))


def hmac_by_hand(key: bytes, message: bytes) -> bytes:
    """RFC 2104, step by step."""
    block = key.ljust(64, b"\0")
    inner = hashlib.sha256(bytes(b ^ 0x36 for b in block) + message).digest()
    return hashlib.sha256(bytes(b ^ 0x5C for b in block) + inner).digest()


def test_a_pseudonym_is_hmac_sha256_of_the_id():
    for user in ("", "7", "07", "größe 快", "x" * 1_000):
        assert pseudonym(KEY, user) == hmac_by_hand(KEY, user.encode())


def test_it_agrees_with_the_second_test_vector_of_rfc_4231():
    found = pseudonym(b"Jefe", "what do ya want for nothing?").hex()
    assert found == "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"


def test_many_ids_keep_their_order_and_their_pseudonyms():
    users = ["b", "a", "b", "007", "7"]
    assert pseudonyms(KEY, users) == [pseudonym(KEY, user) for user in users]
    assert len(set(pseudonyms(KEY, users))) == 4
    assert pseudonyms(KEY, []) == []


def test_another_key_gives_other_pseudonyms():
    assert pseudonym(KEY, "7") != pseudonym(bytes(32), "7")


def test_an_id_that_is_no_proper_unicode_has_one_too():
    assert pseudonym(KEY, "\udc80") != pseudonym(KEY, "\udc81")
