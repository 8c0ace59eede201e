"""Make Flower's SuperLink application, closed as far as its settings go."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from flwr.common.constant import (
    ISOLATION_MODE_PROCESS,
    NOOP_ACCOUNT_NAME,
    NOOP_FLWR_AID,
    TRANSPORT_TYPE_GRPC_RERE,
)
from flwr.supercore.auth.typing import AccountAuthCredentials, AccountAuthLoginDetails, AccountInfo
from flwr.superlink.auth_plugin import ControlAuthnPlugin
from flwr.superlink.cli.flower_superlink import SuperLinkLifespan
from flwr.superlink.config_loader import SuperLinkLifespanConfig
from flwr.superlink.main import create_app


class TokenAuthn(ControlAuthnPlugin):
    """Flower's control interface asks for our token; the open version asks for nothing.

    Guarantees:
        The token is compared in constant time and never shown.
    """

    def __init__(self, token: str) -> None:
        self._token = token.encode()

    def get_login_details(self) -> AccountAuthLoginDetails | None:
        """Nobody can log in."""
        return None

    def validate_tokens_in_metadata(
        self, metadata: Sequence[tuple[str, str | bytes]]
    ) -> tuple[bool, AccountInfo | None]:
        """Whether the one token is there."""
        for _name, value in metadata:
            given = value.encode() if isinstance(value, str) else value
            if hmac.compare_digest(given, self._token):
                return True, AccountInfo(flwr_aid=NOOP_FLWR_AID, account_name=NOOP_ACCOUNT_NAME)
        return False, None

    def get_auth_tokens(self, device_code: str) -> AccountAuthCredentials | None:  # noqa: ARG002
        """No other token is ever given out."""
        return None

    def refresh_tokens(
        self,
        metadata: Sequence[tuple[str, str | bytes]],  # noqa: ARG002 - Flower's signature
    ) -> tuple[Sequence[tuple[str, str | bytes]] | None, AccountInfo | None]:
        """No other token is ever given out."""
        return None, None


def create_superlink(database: Path, *, secret: bytes, token: str) -> FastAPI:
    """The application that answers Flower's fleet, control and runtime interfaces.

    Args:
        database: a SQLite file.
        secret: that an executor of server apps would have to know.
        token: of the control interface.

    Guarantees:
        Server apps run in no process of Flower's (`process` isolation), tasks are handed out to
        holders of the secret alone, and platforms are registered by us alone.
    """
    config = SuperLinkLifespanConfig(
        control_address="",
        health_server_address=None,
        host="127.0.0.1",
        port=0,
        insecure=True,  # TLS is the listener's
        certificates=None,
        superexec_auth_secret=secret,
        authn_plugin=TokenAuthn(token),
        event_log_plugin=None,
        fleet_event_log_plugin=None,
        enable_event_log=False,
        artifact_provider=None,
        enable_supernode_auth=True,
        fleet_api_type=TRANSPORT_TYPE_GRPC_RERE,
        fleet_api_address=None,
        simulation=False,
        ssl_ca_certfile=None,
        ssl_certfile=None,
        ssl_keyfile=None,
        database=str(database),
        isolation=ISOLATION_MODE_PROCESS,
        runtime_dependency_install=False,
    )
    return create_app(config, SuperLinkLifespan)


def link_state(app: FastAPI) -> Any:
    """Flower's state behind an application; on a SQLite file it has SQL sessions."""
    return app.state.linkstate_factory.state()
