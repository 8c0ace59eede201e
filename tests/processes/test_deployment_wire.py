"""All that a platform sends in a whole life, read in the clear: nothing private is in it.

A tap stands between one platform and the server's three ports. Every value of that platform's
tables, its pseudonyms, its store, its keys and its private tensors are canaries, and are looked for
as they are, encoded and compressed. What is allowed to leave is found, so that the search works,
and each departure has its receipt.
"""

import base64
import gzip
import json
import zlib
from collections import Counter
from urllib.parse import quote

import numpy as np
import pytest
from canary_tables import plant_tables
from canary_worker import planted
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from deployment import isthmus
from own_parts import CONTENT, SUPPORT, CheapFederation, OwnParts, cheap_texts
from run_watch import RunWatch
from waiting import until
from wire_requests import departures, grpc_requests, http_requests
from wire_search import VALUES, Haystack, numbers, secrets, texts
from wire_tap import WireTap

from isthmus.federation_contract import FederationContract
from isthmus.files import digest
from isthmus_client.federated_trainer import initial_parameters
from isthmus_client.home import Home
from isthmus_client.link.enrolled import load_keys as load_identity
from isthmus_client.vault import load_keys, pseudonyms
from isthmus_server.ports import announced

ENCODER = f"content={CONTENT},dim=32,layers=2,heads=2,expansion=2,max_events=20"
SETTINGS = {
    "listen": '"127.0.0.1"',
    "hosts": '["127.0.0.1", "127.0.0.2"]',
    "certificate_hours": "0.005",  # 18 s: certificates come and go in a run
}
TINY = ("--privacy", "none", "--rounds", "2", "--max-steps", "2", "--encoder", ENCODER)
SMALL = 6 * 1024  # bytes: more than any request is that carries no update, less than any update


class Wire(CheapFederation):
    """A federation of which alder has canaries."""

    def settle(self, name):
        if name != "alder":
            super().settle(name)
            return
        home = Home(self.contract(name))
        isthmus("client", "init", str(self.folder / name), "--example")
        self.canaries = plant_tables(home)
        self.on_platform(name, "ingest")
        cheap_texts(home)


def scalar(key):
    """The secret of an elliptic curve's key; the rest of its file is public."""
    return key.private_numbers().private_value.to_bytes(key.key_size // 8, "big")


class Heard:
    """What the tap recorded, with what must not be in it."""

    def __init__(self, fed, tap, parts, runs, contract):
        self.home, self.canaries, self.tap = parts.home, fed.canaries, tap
        self.plain, self.secure = runs
        self.contract = contract
        self.outbox = fed.on_platform("alder", "outbox", "list")
        self.asked = [
            each
            for spoken in tap.spoken
            for each in (http_requests if spoken.to == "fleet" else grpc_requests)(
                bytes(spoken.sent)
            )
        ]
        places = {f"connection {n}": bytes(each.sent) for n, each in enumerate(tap.spoken)}
        bodies = {f"request {n}": each.body for n, each in enumerate(self.asked)}
        self.hay = Haystack({**places, **bodies})
        self.notes = fed.folder / "notes"

    def noted(self, kind):
        """Arrays that the worker wrote down, by file."""
        return [dict(np.load(path)) for path in sorted(self.notes.glob(f"{kind}-*.npz"))]


@pytest.fixture(scope="module")
def heard(tmp_path_factory):
    fed = Wire(tmp_path_factory.mktemp("fed"))
    parts = OwnParts(fed, "alder")
    try:
        fed.make(SETTINGS)
        ports = {name: announced(fed.home)[name] for name in ("enrolment", "control", "fleet")}
        tap = WireTap(
            "127.0.0.2", ports, fed.home.authority, parts.home.federation, fed.folder / "tap"
        )
        with tap:
            fed.join("alder", tap.host)
            for name in ("birch", "cedar"):
                fed.join(name)
                fed.start(name)
            parts.worker(str(SUPPORT / "canary_worker.py"), str(fed.folder / "notes"))
            parts.node()
            for name in ("birch", "cedar"):
                fed.ups[name].wait_ready()
            parts.wait_ready()
            runs, contract = _runs(fed, tap)
            parts.stop()
        yield Heard(fed, tap, parts, runs, contract)
    finally:
        parts.stop()
        fed.stop()


def _runs(fed, tap):
    watch = RunWatch(fed)
    try:
        plain = fed.propose(*TINY, "--no-secure-aggregation")
        watch.finished(plain, 90)
        assert watch.cohorts(plain) == [{"alder", "birch", "cedar"}] * 2
        secure = fed.propose(*TINY, "--seed", "77", "--secure-aggregation")  # other updates
        watch.finished(secure, 90)
        assert watch.cohorts(secure) == [{"alder", "birch", "cedar"}] * 2
        until(lambda: len(tap.keys) > 1, 30, "another certificate")
        row = watch.state.runs.get(plain)
        return (plain, secure), FederationContract.from_bytes(row.contract)
    finally:
        watch.close()


@pytest.mark.slow
def test_all_three_ports_were_heard_and_certificates_came_and_went(heard):
    assert {each.to for each in heard.tap.spoken if each.sent} == {"enrolment", "control", "fleet"}
    assert len(heard.tap.keys) > 1
    assert {each.protocol for each in heard.tap.spoken} == {"h2", "http/1.1"}


@pytest.mark.slow
def test_what_may_leave_is_found_so_that_the_search_works(heard):
    assert b"alder" in heard.hay.data
    assert heard.hay.look(texts("metric", ["validation/ndcg@10"]))
    started = initial_parameters(heard.contract.encoder, heard.contract.seed)
    for name, tensor in started.tensors.items():
        needles = list(numbers(name, tensor)) if tensor.size >= VALUES else []
        assert not needles or {each.how for each in heard.hay.look(needles)} == {"<f4"}
    plain, secure = heard.noted("update")[:2], heard.noted("update")[2:]
    assert len(secure) == 2
    for update in plain:
        needles = [each for name, tensor in update.items() for each in numbers(name, tensor)]
        assert {each.how for each in heard.hay.look(needles)} == {"<f4", "npy <f4"}
    for update in secure:  # a single number, such as Adam's first step, may be an open run's too
        many = [(name, tensor) for name, tensor in update.items() if tensor.size >= VALUES]
        assert not heard.hay.look([each for name, tensor in many for each in numbers(name, tensor)])


@pytest.mark.slow
def test_no_value_of_the_tables_is_in_it(heard):
    told = heard.canaries
    for what in ("users", "items", "texts", "prices", "behaviours"):
        assert not heard.hay.look(texts(what, getattr(told, what)))
    assert not heard.hay.look(texts("words", ["Quillfeather", "Quöndle", "Vexmoor0", "quill_lo"]))
    prices = np.array([float(each) for each in told.prices])
    assert not heard.hay.look(numbers("prices", prices))
    assert not heard.hay.look(
        (("price", code, np.float64(each).astype(code).tobytes()))
        for each in set(told.prices)
        for code in ("<f8", ">f8")
    )


@pytest.mark.slow
def test_no_pseudonym_no_file_of_the_store_and_no_key_is_in_it(heard):
    keyring = load_keys(heard.home.keys)
    identity = load_identity(heard.home, keyring)
    short_lived = [load_pem_private_key(each, None) for each in heard.tap.keys]
    keys = [
        *(getattr(keyring, role) for role in ("pseudonym", "store", "heads", "signing")),
        *(scalar(each) for each in (identity.node, *short_lived)),
        identity.signing.private_bytes_raw(),
        *(path.read_bytes() for path in heard.home.keys.iterdir()),
        (heard.home.federation / "identity.sealed").read_bytes(),
    ]
    assert not heard.hay.look(secrets("keys", keys))
    hidden = pseudonyms(keyring.pseudonym, heard.canaries.users)
    assert not heard.hay.look(secrets("pseudonyms", hidden))
    ours = identity.signing.public_key().public_bytes_raw()
    assert heard.hay.look(secrets("public key", [ours]))  # it is in the contract's decision
    files = [path for path in heard.home.store.rglob("*") if path.is_file()]
    assert files
    assert not heard.hay.look(secrets("store", (path.read_bytes() for path in files)))


@pytest.mark.slow
def test_no_private_tensor_is_in_it(heard):
    noted = heard.noted("private")
    names = {name for arrays in noted for name in arrays}
    assert {"residual", "bias", "prior_weight", "content", "vectors", "times"} <= names
    head = dict(planted().named_parameters())
    assert np.array_equal(noted[0]["residual"], head["residual"].detach().numpy())
    for arrays in noted:
        for name, tensor in arrays.items():
            assert not heard.hay.look(numbers(name, tensor, 2000)), name


@pytest.mark.slow
def test_every_departure_has_its_receipt_and_nothing_else_of_that_size_left(heard):
    receipts = [each for each in heard.outbox if each["run"] in (heard.plain, heard.secure)]
    wanted = Counter(
        (each["kind"], each["run"], each.get("masked_sha256", each["sha256"])) for each in receipts
    )
    masked = {each["masked_sha256"]: each for each in receipts if "masked_sha256" in each}
    found, left = Counter(), departures(heard.asked)
    for each in left:
        if each.sealed:
            name = digest(each.sealed)
            if name in masked:
                assert masked[name]["masked_bytes"] == len(each.sealed)
                found[(masked[name]["kind"], each.run, name)] += 1
            else:
                assert len(each.sealed) < SMALL  # keys and shares of a session
        elif each.tensors is None:
            name = digest(json.dumps(each.metrics, sort_keys=True).encode())
            found[("metrics", each.run, name)] += 1
        else:
            name = each.tensors.fingerprint()
            (receipt,) = [r for r in receipts if (r["run"], r["sha256"]) == (each.run, name)]
            assert receipt.get("metrics", {}) == each.metrics
            assert receipt["bytes"] == each.tensors.bytes
            found[(receipt["kind"], each.run, name)] += 1
    assert found == wanted
    assert {kind for kind, _, _ in found} >= {"update", "masked update", "initial parameters"}
    for each in left:  # names, shapes and hashes around each tensor
        assert each.overhead < 1024 * (4 + len(each.tensors.tensors if each.tensors else ()))
    pushed = {"/isthmus/fleet/push"}
    assert max(len(each.body) for each in heard.asked if each.path not in pushed) < SMALL
    assert max(each.head for each in heard.asked) < SMALL
    assert min(each["bytes"] for each in receipts if each["kind"] == "update") > 8 * SMALL


ENCODINGS = {
    "plain": bytes,
    "hex": lambda each: each.hex().encode(),
    "HEX": lambda each: each.hex().upper().encode(),
    "base64": base64.b64encode,
    "base64 after one": lambda each: base64.b64encode(b"x" + each),
    "base64 after two": lambda each: base64.b64encode(b"xy" + each),
    "base64 for URLs": lambda each: base64.urlsafe_b64encode(b"\xff\xfe" + each),
    "zlib": zlib.compress,
    "gzip": lambda each: b"before" + gzip.compress(each) + b"after",
    "zlib in the middle": lambda each: b"abc" + zlib.compress(each, 1) + b"def",
}


@pytest.mark.parametrize("how", ENCODINGS)
@pytest.mark.parametrize("codec", ["utf-8", "utf-16-le", "utf-16-be"])
def test_the_search_finds_a_text_however_it_is_encoded(how, codec):
    said = "before the canary sings " * 3
    hidden = ENCODINGS[how](said.encode(codec))
    hay = Haystack({"here": b"\0noise" * 50 + hidden + b"noise"})
    assert hay.look(texts("it", ["canary sings"]))
    assert not hay.look(texts("it", ["parrot sings"]))


@pytest.mark.parametrize("code", ["<f4", ">f4", "<f8", ">f8"])
def test_the_search_finds_values_of_a_tensor_in_any_order_and_width(code):
    drawn = np.random.default_rng(3)
    tensor = drawn.normal(size=(40, 8)).astype(np.float32)
    hay = Haystack({"here": b"abc" + tensor[10:20].astype(code).tobytes() + b"d"})
    assert {each.how for each in hay.look(numbers("it", tensor))} == {code}
    assert not hay.look(numbers("it", tensor + np.float32(1e-6)))


def test_the_search_finds_a_text_in_a_url_and_in_json():
    hay = Haystack(
        {"a": quote("Zoë / Q&A?", safe="").encode(), "b": json.dumps("Zoë 'x'").encode()}
    )
    assert {each.how for each in hay.look(texts("it", ["Zoë / Q&A?"]))} == {"URL"}
    assert {each.how for each in hay.look(texts("it", ["Zoë 'x'"]))} == {"JSON"}
