"""Tests of unpacking archives, damaged and hostile ones included.

Authors
 * The speechbrain_fftp authors 2026
"""

import io
import tarfile

import numpy as np
import pytest

from speechbrain_fftp.datasets.speech_commands.lists import unpack_archive


def write_archive(path, members):
    """Writes a tar.gz of names and contents (or TarInfo and None)."""
    with tarfile.open(path, "w:gz") as tar:
        for name, content in members:
            if isinstance(name, tarfile.TarInfo):
                tar.addfile(name)
                continue
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))


def link(name, target, kind):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


@pytest.mark.parametrize(
    "member",
    [
        ("../evil.wav", b"x"),
        ("yes/../../evil.wav", b"x"),
        (link("evil", "/etc", tarfile.SYMTYPE), None),
        (link("evil", "../x", tarfile.LNKTYPE), None),
        (link("evil", "", tarfile.FIFOTYPE), None),
    ],
)
def test_members_that_lead_elsewhere(tmp_path, member):
    archive = tmp_path / "words.tgz"
    write_archive(archive, [("yes/1.wav", b"1"), member, ("no/2.wav", b"2")])
    with pytest.raises(ValueError) as error:
        unpack_archive(archive, tmp_path / "save" / "unpacked")
    assert str(archive) in str(error.value) and "evil" in str(error.value)
    assert list((tmp_path / "save").iterdir()) == []
    assert not list(tmp_path.rglob("evil*"))


def test_damaged_archives(tmp_path):
    archive, folder = tmp_path / "words.tar.gz", tmp_path / "unpacked"
    rng = np.random.default_rng(0)
    members = [(f"yes/{i}.wav", rng.bytes(3000)) for i in range(6)]
    write_archive(archive, members)
    whole = archive.read_bytes()
    damaged = [whole[: int(part * len(whole))] for part in (0, 0.1, 0.5, 0.9)]
    for content in (*damaged, b"no archive"):
        archive.write_bytes(content)
        with pytest.raises(ValueError, match="cannot be unpacked") as error:
            unpack_archive(archive, folder)
        assert str(archive) in str(error.value)
        assert [p.name for p in tmp_path.iterdir()] == ["words.tar.gz"]
    archive.write_bytes(whole)
    unpack_archive(archive, folder)
    assert len(list((folder / "yes").iterdir())) == 6
