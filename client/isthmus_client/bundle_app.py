"""The Flower app that our bundle names: hands each message to the platform's warm worker.

Flower's own SuperNode starts a process for every message, which imports this. The platform's
folder stands in the node's configuration, which never leaves the machine.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from flwr.app import Context, Error, Message
from flwr.clientapp import ClientApp
from flwr.common.serde import message_from_proto, message_to_proto
from flwr.proto.message_pb2 import Message as WireMessage

from isthmus.errors import IsthmusError
from isthmus_client.worker.channel import WorkerChannel

FOLDER: Final = "isthmus-worker"
"""Name in the node's configuration of the folder with the worker's socket."""

ERROR_BASE: Final = 1000  # added to an error's exit code; Flower's own codes are below


class ForwardingApp(ClientApp):
    """Answers every kind of message by asking the worker.

    Guarantees:
        An error reply holds a class name and a code, never the text of an exception.
    """

    def __call__(self, message: Message, context: Context) -> Message:
        """The worker's reply."""
        channel = WorkerChannel(Path(str(context.node_config[FOLDER])))
        try:
            answer = channel.ask(message_to_proto(message).SerializeToString())
            return message_from_proto(WireMessage.FromString(answer))
        except IsthmusError as error:
            kind, code = type(error).__name__, ERROR_BASE + error.exit_code
            return Message(Error(code, kind), reply_to=message)
        except Exception as error:  # noqa: BLE001 - Flower would send its text to the server
            return Message(Error(ERROR_BASE + 1, type(error).__name__), reply_to=message)
        finally:
            channel.close()


app = ForwardingApp()
