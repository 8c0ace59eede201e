"""The bundle holds configuration only, always the same bytes, and every other one is refused."""

import hashlib
import io
import zipfile

import pytest
from flwr.cli.config_utils import get_fab_metadata
from flwr.common.config import get_fab_config, validate_config
from hypothesis import given
from hypothesis import strategies as st

from isthmus.bundle import APP_ID, BUNDLE_SHA256, MAX_BYTES, bundle, require_known
from isthmus.errors import BundleError


def test_bytes_are_those_that_platforms_of_this_release_hold():
    assert bundle() == bundle()
    assert hashlib.sha256(bundle()).hexdigest() == BUNDLE_SHA256
    assert BUNDLE_SHA256 == "98cd4a55021da8f88e3edbe0fff4b18c7456939ddfee73751ab3b3910ef4e614"
    assert len(bundle()) < MAX_BYTES


def test_there_is_a_configuration_and_no_code():
    with zipfile.ZipFile(io.BytesIO(bundle())) as archive:
        assert archive.namelist() == ["pyproject.toml", ".info/CONTENT"]
        assert archive.testzip() is None


def test_flower_reads_it():
    valid, errors, _ = validate_config(get_fab_config(bundle()), check_module=False)
    assert (valid, errors) == (True, [])
    assert "@" + get_fab_metadata(bundle())[0] == APP_ID


@given(st.text(alphabet="0123456789abcdef", max_size=64))
def test_every_other_hash_is_refused(sha256):
    with pytest.raises(BundleError, match="does not allow"):
        require_known(sha256)
    require_known(sha256, frozenset({sha256}))


def test_ours_is_accepted():
    require_known(BUNDLE_SHA256)
