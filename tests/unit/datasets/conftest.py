"""What several tests of data share.

Authors
 * The speechbrain_fftp authors 2026
"""

import hashlib

import pytest


@pytest.fixture(scope="session")
def digest():
    """Function that gives a checksum of the names and contents of a folder."""

    def compute(folder):
        paths = sorted(
            path
            for path in folder.rglob("*")
            if path.is_file() and path.suffix != ".lock"
        )
        content = [
            (p.relative_to(folder).as_posix(), p.read_bytes()) for p in paths
        ]
        return hashlib.sha256(repr(content).encode()).hexdigest()

    return compute
