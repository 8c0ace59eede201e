"""Each of Flower's internals that the adapter uses is there, and does what is relied upon.

A new release of Flower that breaks one of these is found here, by name, before anything else.
"""

import importlib
import inspect

import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, RecordDict
from flwr.app.message import remove_content_from_message
from flwr.common.serde import message_from_proto, message_to_proto
from flwr.supercore.inflatable.inflatable_object import (
    get_all_nested_objects,
    get_object_tree,
    no_object_id_recompute,
)
from flwr.supercore.primitives.asymmetric import generate_key_pairs, public_key_to_bytes
from flwr.supercore.task_identity import TaskIdentity
from flwr.superlink.config_loader import SuperLinkLifespanConfig

from isthmus_server.flower import objects
from isthmus_server.flower.link import FlowerLink

pytestmark = pytest.mark.filterwarnings("ignore:No path_separator:DeprecationWarning")  # Flower's
TOKEN = "t"  # noqa: S105 - of a SuperLink that nobody reaches
USED = {
    "flwr.app": ["Array", "ArrayRecord", "ConfigRecord", "Error", "Message", "RecordDict"],
    "flwr.app.message.message": ["make_message"],
    "flwr.common.constant": [
        "HEARTBEAT_DEFAULT_INTERVAL", "ISOLATION_MODE_PROCESS", "NOOP_ACCOUNT_NAME",
        "NOOP_FLWR_AID", "SUPERLINK_NODE_ID", "SYSTEM_TIME_TOLERANCE", "TIMESTAMP_HEADER",
        "TIMESTAMP_TOLERANCE", "TRANSPORT_TYPE_GRPC_RERE", "ErrorCode", "Status",
    ],
    "flwr.supercore.constant": [
        "FLEET_HTTP_PUBLIC_KEY_HEADER", "FLEET_HTTP_SIGNATURE_HEADER", "NOOP_FEDERATION_ID",
        "TaskType",
    ],
    "flwr.supercore.auth.typing": [
        "AccountAuthCredentials", "AccountAuthLoginDetails", "AccountInfo",
    ],
    "flwr.superlink.auth_plugin": ["ControlAuthnPlugin"],
    "flwr.superlink.cli.flower_superlink": ["SuperLinkLifespan"],
    "flwr.superlink.main": ["create_app"],
}  # fmt: skip
STATE = (
    "acknowledge_task_heartbeat", "activate_task", "claim_task", "create_node", "create_run",
    "deactivate_node", "delete_messages", "delete_node", "get_message_ins", "get_message_res",
    "get_node_id_by_public_key", "get_node_info", "get_run_info", "get_run_status", "session",
    "stop_run", "store_app", "store_message_ins", "store_message_res",
)  # fmt: skip


@pytest.mark.parametrize(("module", "names"), USED.items(), ids=USED)
def test_the_names_are_there(module, names):
    found = importlib.import_module(module)
    assert [name for name in names if not hasattr(found, name)] == []


def test_the_settings_are_those_that_we_give():
    assert set(inspect.signature(SuperLinkLifespanConfig).parameters) == {
        "control_address", "health_server_address", "host", "port", "insecure", "certificates",
        "superexec_auth_secret", "authn_plugin", "event_log_plugin", "fleet_event_log_plugin",
        "enable_event_log", "artifact_provider", "enable_supernode_auth", "fleet_api_type",
        "fleet_api_address", "simulation", "ssl_ca_certfile", "ssl_certfile", "ssl_keyfile",
        "database", "isolation", "runtime_dependency_install",
    }  # fmt: skip


@pytest.fixture
def link(tmp_path):
    return FlowerLink(tmp_path / "flower.sqlite", secret=b"s" * 32, token=TOKEN)


@pytest.fixture
def state(link):
    return link._state


def key():
    return public_key_to_bytes(generate_key_pairs()[1])


def test_the_state_has_the_calls(state):
    assert [name for name in STATE if not callable(getattr(state, name, None))] == []
    assert callable(state.object_store.session)


def test_one_transaction_spans_messages_and_objects(state):
    with state.session() as outer, state.object_store.session() as inner:
        assert outer is inner
        with state.session() as nested:
            assert nested is outer


def test_the_settings_reach_the_application(link):
    found = link.app.state
    assert found.enable_supernode_auth is True
    assert found.superexec_auth_secret == b"s" * 32


def test_only_the_token_opens_the_control_interface(link):
    plugin = link.app.state.account_access_dep.authn_plugin
    assert plugin.validate_tokens_in_metadata([]) == (False, None)
    assert plugin.validate_tokens_in_metadata([("access-token", "x")]) == (False, None)
    assert plugin.validate_tokens_in_metadata([("access-token", "t")])[0] is True
    assert plugin.get_login_details() is None
    assert plugin.get_auth_tokens("code") is None
    assert plugin.refresh_tokens([("access-token", "t")]) == (None, None)


def test_nodes_are_those_of_the_roster(link):
    keys = {"a": key(), "b": key()}
    link.sync_nodes(keys)
    assert {node.name: node.online for node in link.nodes()} == {"a": False, "b": False}
    before = link.node_id(keys["a"])
    link.sync_nodes({"a": keys["a"]})
    assert link.node_id(keys["b"]) is None
    link.sync_nodes({"a": keys["a"], "b": key()})
    assert link.node_id(keys["a"]) == before  # it is not forgotten because another changed
    assert {node.name for node in link.nodes()} == {"a", "b"}


def test_a_node_that_is_released_is_activated_again(link, state):
    keys = {"a": key()}
    link.sync_nodes(keys)
    node = link.node_id(keys["a"])
    assert state.activate_node(node, 30)
    assert not state.activate_node(node, 30)  # Flower has it wait for the end of its lease
    link.release(keys["a"])
    assert state.activate_node(node, 30)
    link.release(key())  # of nobody


def test_a_new_run_ends_the_one_before(link, state):
    first = link.open_run()
    second = link.open_run()
    statuses = state.get_run_status({first, second})
    assert (statuses[first].status, statuses[second].status) == ("finished", "running")
    link.keep_alive()
    task = state.get_run_info(run_ids=[second])[0].primary_task_id
    assert state.claim_task(task) is None  # nobody else can have its task


def message(node, run, number=1.0, tensors=3):
    """A message with objects that are shared within it."""
    TaskIdentity.run_id, TaskIdentity.node_id, TaskIdentity.task_id = run, 1, 1
    arrays = ArrayRecord({f"t{k}": Array("float32", (k + 1,), "raw", bytes(4 * (k + 1)))
                          for k in range(tensors)})  # fmt: skip
    twice = ConfigRecord({"number": number})
    made = Message(
        RecordDict({"arrays": arrays, "one": twice, "two": ConfigRecord({"number": -number})}),
        node, "train", ttl=60.0, group_id="1",
    )  # fmt: skip
    with no_object_id_recompute():
        made.metadata.__dict__["_message_id"] = made.object_id
        bare = message_to_proto(remove_content_from_message(made))
        contents = {name: each.deflate() for name, each in get_all_nested_objects(made).items()}
        return bare, get_object_tree(made), contents


def tables(state):
    """All rows of Flower's object store."""
    with state.session() as session:
        db = objects.connection_of(session)
        return [
            sorted(db.execute(f"SELECT * FROM {table}"))  # noqa: S608
            for table in ("objects", "object_children", "run_objects")
        ]


def flowers_way(state, run, bare, tree, contents):
    session = state.start_session(run)
    stored, missing = state.store_message_and_object_tree(message_from_proto(bare), tree, session)
    assert stored
    for name in missing:
        assert state.store_object(run, session, name, contents[name])


def our_way(state, run, bare, _tree, contents):
    with state.session() as session:
        state.store_message_ins(message_from_proto(bare))
        db = objects.connection_of(session)
        objects.register(db, run, [bare.metadata.message_id], contents.values())


@pytest.mark.parametrize("order", ["ff", "fo", "of", "oo"])
def test_objects_are_stored_and_forgotten_as_flower_does(tmp_path, order):
    """Two messages that share tensors; after each step the tables are the same in both ways."""
    seen = []
    for ways in ("ff", order):
        link = FlowerLink(tmp_path / f"{ways}-{len(seen)}.sqlite", secret=b"s", token=TOKEN)
        state = link._state
        keys = {"a": key()}
        link.sync_nodes(keys)
        node = link.node_id(keys["a"])
        state.activate_node(node, 30)
        run, steps = link.open_run(), []
        made = [message(node, run, number) for number in (1.0, 2.0)]
        for way, each in zip(ways, made, strict=True):
            (flowers_way if way == "f" else our_way)(state, run, *each)
            steps.append(shape(tables(state)))
        _, tree, contents = made[0]
        with state.session() as session:
            found, parts = objects.fetch(objects.connection_of(session), tree.object_id)
        flowers = state.object_store.get_object_tree(tree.object_id)
        assert unordered(found) == unordered(flowers) == unordered(tree)
        assert {*parts} == {*contents.values()}
        for way, each in zip(ways, made, strict=True):
            if way == "f":
                state.object_store.delete(each[1].object_id)
            else:
                with state.session() as session:
                    objects.forget(objects.connection_of(session), [each[1].object_id])
            steps.append(shape(tables(state)))
        seen.append(steps)
        assert tables(state)[0] == []
    assert seen[0] == seen[1]


def unordered(tree):
    """Flower reads children in any order."""
    return (tree.object_id, frozenset(unordered(child) for child in tree.children))


def shape(rows):
    """What does not depend on the moment and the random numbers of a run."""
    stored, children, belongs = rows
    counts = sorted((available, count) for _, _, available, count in stored)
    return (counts, len(children), len(belongs))
