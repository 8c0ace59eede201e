"""The tables. A change here needs a migration: a test compares the two."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
)

from isthmus_server.state.column_types import UtcTime, Words

_NAMES: Final = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}
_HEX: Final = 64  # digits of a SHA-256

metadata: Final = MetaData(naming_convention=_NAMES)

platforms: Final = Table(
    "platforms",
    metadata,
    Column("name", Words, primary_key=True),
    Column("status", String(16), nullable=False),
    Column("signing", LargeBinary, nullable=False),
    Column("node_key", LargeBinary, nullable=False),
    Column("fingerprint", Words, nullable=False),
    Column("csr", LargeBinary, nullable=False),
    Column("certificate", LargeBinary),
    Column("serial", Words),
    Column("serial_before", Words),
    Column("expires", UtcTime),
    Column("session", Words),
    Column("session_before", Words),
    Column("session_confirmed", Boolean(create_constraint=False), nullable=False),
    Column("last_seen", UtcTime),
    Column("skew_s", Double),
    Column("audit_lines", BigInteger, nullable=False),
    Column("audit_head", Words, nullable=False),
    Column("status_note", Words, nullable=False),
    Column("joined", UtcTime, nullable=False),
    Column("facts", JSON, nullable=False),
    CheckConstraint("status IN ('pending', 'approved', 'suspended', 'revoked')", name="status"),
)

invitations: Final = Table(
    "invitations",
    metadata,
    Column("token_sha256", String(_HEX), primary_key=True),
    Column("name", Words, nullable=False),
    Column("created", UtcTime, nullable=False),
    Column("expires", UtcTime, nullable=False),
    Column("used", UtcTime),
    Column("withdrawn", UtcTime),
)

runs: Final = Table(
    "runs",
    metadata,
    Column("id", Words, primary_key=True),
    Column("contract", LargeBinary, nullable=False),
    Column("contract_sha256", String(_HEX), nullable=False),
    Column("signature", LargeBinary, nullable=False),
    Column("status", String(16), nullable=False),
    Column("wanted", String(16), nullable=False),
    Column("reason", Words, nullable=False),
    Column("round", Integer, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("rollback_to", Integer),
    Column("created", UtcTime, nullable=False),
    Column("updated", UtcTime, nullable=False),
    CheckConstraint(
        "status IN ('proposed', 'running', 'paused', 'stopped', 'finished', 'failed')",
        name="status",
    ),
    CheckConstraint("wanted IN ('run', 'pause', 'stop')", name="wanted"),
    CheckConstraint("reason <> '' OR status = 'finished'", name="reason"),
)

decisions: Final = Table(
    "decisions",
    metadata,
    Column("run", Words, ForeignKey("runs.id"), primary_key=True),
    Column("platform", Words, primary_key=True),
    Column("decision", String(16), nullable=False),
    Column("reason", Words, nullable=False),
    Column("signature", LargeBinary, nullable=False),
    Column("at", UtcTime, nullable=False),
    CheckConstraint("decision IN ('approved', 'refused')", name="decision"),
)

rounds: Final = Table(
    "rounds",
    metadata,
    Column("run", Words, ForeignKey("runs.id"), primary_key=True),
    Column("round", Integer, primary_key=True, autoincrement=False),
    Column("attempt", Integer, nullable=False),
    Column("record", JSON, nullable=False),
    Column("fingerprint", String(_HEX), nullable=False),
    Column("seconds", Double, nullable=False),
    Column("committed", UtcTime, nullable=False),
)

events: Final = Table(
    "events",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("at", UtcTime, nullable=False),
    Column("level", String(16), nullable=False),
    Column("kind", Words, nullable=False),
    Column("platform", Words),
    Column("run", Words),
    Column("text", Words, nullable=False),
    Column("times", Integer, nullable=False),
    Column("last", UtcTime, nullable=False),
    CheckConstraint("level IN ('info', 'warning', 'alarm')", name="level"),
    Index(None, "run"),
)

releases: Final = Table(
    "releases",
    metadata,
    Column("id", Words, primary_key=True),
    Column("run", Words, ForeignKey("runs.id"), nullable=False),
    Column("round", Integer, nullable=False),
    Column("sha256", String(_HEX), nullable=False),
    Column("path", Words, nullable=False),
    Column("signature", LargeBinary, nullable=False),
    Column("created", UtcTime, nullable=False),
    Column("withdrawn", UtcTime),
    Column("withdrawn_reason", Words, nullable=False),
)
