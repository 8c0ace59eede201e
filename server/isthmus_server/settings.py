"""`server.toml`: where a server listens, where its state is, and how long things last."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from isthmus.errors import DataMissingError, ScenarioError
from isthmus.identity import MAX_PLATFORM_HOURS, MAX_SERVER_HOURS
from isthmus_server.server_home import ServerHome

Port = Annotated[int, Field(ge=0, le=65535)]
Seconds = Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)]


class Settings(BaseModel):
    """One server's settings; a port of 0 takes any free one, told in `run/ports.json`.

    Attributes:
        name: of the federation, as its certificates say it.
        hosts: names and addresses under which platforms reach the server; in its certificate.
        listen: address that the three public ports are bound to.
        enrolment_port: joining; the server's certificate alone.
        control_port: sessions, contracts and certificates; mutual TLS.
        fleet_port: rounds; mutual TLS.
        private_port: Flower's own interfaces; loopback only, behind a secret.
        health_port: liveness and readiness; loopback only.
        database: URL of the state; "" = SQLite in the server's folder.
        idle_s: without a byte moving in either direction after which a transfer is given up; the
            only such limit.
        heartbeat_s: between two heartbeats of a platform, and until a revocation holds everywhere.
        certificate_hours: for which a platform's certificate is good; renewed after half of it.
        server_certificate_hours: for which the server's own is good; renewed after half of it.
        retry_s: before a round that could not be finished is tried again.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(default="isthmus", min_length=1, max_length=61)
    hosts: tuple[str, ...] = Field(default=("localhost", "127.0.0.1"), min_length=1)
    listen: str = "0.0.0.0"  # noqa: S104 - platforms are elsewhere; what listens asks for identities
    enrolment_port: Port = 9442
    control_port: Port = 9443
    fleet_port: Port = 9444
    private_port: Port = 9445
    health_port: Port = 9446
    database: str = Field(default="", repr=False)  # may hold a password
    idle_s: Seconds = 60.0
    heartbeat_s: Seconds = 5.0
    certificate_hours: Annotated[float, Field(gt=0, le=MAX_PLATFORM_HOURS)] = 24.0
    server_certificate_hours: Annotated[float, Field(gt=0, le=MAX_SERVER_HOURS)] = 24.0 * 30
    retry_s: Annotated[float, Field(ge=0, le=3600)] = 5.0

    def database_url(self, home: ServerHome) -> str:
        """Where the state is."""
        return self.database or f"sqlite:///{home.database_path.resolve()}"


def load_settings(home: ServerHome) -> Settings:
    """The settings of a server that was made.

    Raises:
        DataMissingError: there is no server in this folder.
        ScenarioError: the file is no TOML, or names each wrong key and value.
    """
    try:
        text = home.config.read_text()
    except FileNotFoundError:
        raise DataMissingError(
            f"there is no server in {home.folder}: {home.config.name} is missing",
            hint=f"isthmus server init {home.folder}, or name the server's folder: --home DIR",
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ScenarioError(f"{home.config} cannot be read: {error}") from error
    return parse_settings(text, str(home.config))


def parse_settings(text: str, where: str) -> Settings:
    """The settings in a text.

    Raises:
        ScenarioError: as `load_settings`.
    """
    try:
        return checked_settings(tomllib.loads(text), where)
    except tomllib.TOMLDecodeError as error:
        raise ScenarioError(f"{where} is no TOML: {error}") from error


def checked_settings(values: Mapping[str, object], where: str) -> Settings:
    """The settings with these values.

    Raises:
        ScenarioError: names each wrong key and value.
    """
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        wrong = "; ".join(_told(each) for each in error.errors())
        raise ScenarioError(f"{where}: {wrong}", hint="see docs/deploying.md#servertoml") from None


def _told(mistake: Any) -> str:
    key = ".".join(map(str, mistake["loc"]))
    if mistake["type"] == "extra_forbidden":
        return f"{key} is no setting"
    given = "" if key == "database" else f" (given: {mistake['input']!r})"
    return f"{key}: {mistake['msg'][:1].lower()}{mistake['msg'][1:]}{given}"


def settings_text(settings: Settings) -> str:
    """`server.toml` with every setting and what it means."""
    values = settings.model_dump()
    lines = ["# The server of a federation. What each line means: docs/deploying.md", ""]
    lines += [f"{key} = {_toml(value)}" for key, value in values.items()]
    return "\n".join(lines) + "\n"


def _toml(value: object) -> str:
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return str(value)
