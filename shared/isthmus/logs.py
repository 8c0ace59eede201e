"""Logs of processes that run for long: one JSON object a line, on standard error."""

from __future__ import annotations

import logging
import sys

import structlog


def log_as_json(process: str, *, level: int = logging.INFO) -> None:
    """Send every logger's records to standard error as JSON lines.

    A line has `timestamp` (UTC, ISO 8601), `level`, `logger`, `process`, `event` and what the
    record carries in `extra`; an exception's trace stands in `exception`.

    Args:
        process: which of our processes speaks.
        level: the least that is told.
    """
    shared: list[structlog.types.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _naming(process),
    ]
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                structlog.processors.JSONRenderer(sort_keys=True),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)


def _naming(process: str) -> structlog.types.Processor:
    def name(
        _logger: object, _method: str, event: structlog.types.EventDict
    ) -> structlog.types.EventDict:
        return {**event, "process": process}

    return name
