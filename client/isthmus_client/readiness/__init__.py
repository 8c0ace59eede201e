"""Whether a platform's data is fit to train on: counts, findings, and a verdict."""

from isthmus_client.readiness.checking import check, check_feeds
from isthmus_client.readiness.codes import CODES
from isthmus_client.readiness.page import write_page
from isthmus_client.readiness.results import Finding, Readiness
from isthmus_client.readiness.terminal import render

__all__ = ["CODES", "Finding", "Readiness", "check", "check_feeds", "render", "write_page"]
