"""Tests of AudioSet's layouts on disk.

Authors
 * The speechbrain_fftp authors 2026
"""

import pytest

from speechbrain_fftp.dataio.audio import AUDIO_EXTENSIONS
from speechbrain_fftp.datasets.audioset.layouts import (
    audio_reader,
    source_files,
)


@pytest.mark.parametrize("extension", AUDIO_EXTENSIONS)
def test_clips_of_all_formats_are_found(tmp_path, extension):
    audio = tmp_path / "audio"
    audio.mkdir()
    path = audio / f"-a.b{extension}"
    path.touch()
    (audio / "-a.b.txt").touch()
    read = audio_reader(tmp_path, None)
    assert list(read(["-a.b", "c"])) == [("-a.b", str(path)), ("c", None)]
    table = tmp_path / "eval_segments.csv"
    table.write_text('-a.b, 0, 10, "/m/1"\n')
    assert str(path) in source_files(tmp_path, {"eval": [table]})


def test_the_most_common_format_is_first(tmp_path):
    (tmp_path / "audio").mkdir()
    read = audio_reader(tmp_path, None)
    for extension in reversed(AUDIO_EXTENSIONS):
        path = tmp_path / "audio" / f"a{extension}"
        path.touch()
        assert list(read(["a"])) == [("a", str(path))]
    assert path.suffix == ".flac"
