"""Short clips that are used where they are, or converted if they do not fit.

Authors
 * The speechbrain_fftp authors 2026
"""

import os
import re
from concurrent.futures import ThreadPoolExecutor

from speechbrain.utils.parallel import get_available_cpu_count, parallel_map
from speechbrain_fftp.dataio.audio import mono_blocks, open_audio
from speechbrain_fftp.dataio.convert import MIN_SECONDS, convert_clips

# Names that a manifest cannot hold: '$' starts a variable, the last are bytes
# that are no text
NOT_IN_MANIFESTS = re.compile(r"[$\x00-\x1f\x7f\ud800-\udfff]")
FORMATS = {"WAV": ".wav", "WAVEX": ".wav", "FLAC": ".flac"}
# A WAV file that was written to a pipe claims about 2 or 4 GiB
UNKNOWN_LENGTH = 0x7FFF0000


def gather_clips(
    data_folder, ids, flac_folder, sample_rate=16000, max_seconds=1.0, name=None
):
    """Checks clips, and converts those that cannot be used as they are.

    That is what has another rate or format than wav and flac, or more channels
    or seconds than wanted, of which the first are kept.

    Arguments
    ---------
    data_folder : str
        Where the clips are.
    ids : dict
        From path within that folder to the id of the clip.
    flac_folder : str
        Where to write ``ID.flac``.
    sample_rate : int
        The wanted rate, in Hz.
    max_seconds : float
        How long a clip may be.
    name : str, optional
        Name to show at the progress bar.

    Returns
    -------
    usable : dict
        From path to duration in seconds, and the treatments of
        ``convert_clip``, or None where the clip is used as it is.
    failed : dict
        From path to the reason why it cannot be used.

    Example
    -------
    >>> import numpy as np
    >>> import soundfile as sf
    >>> folder = str(getfixture("tmpdir"))
    >>> sf.write(f"{folder}/a.wav", np.zeros(8000), 16000)
    >>> sf.write(f"{folder}/b.wav", np.zeros((9000, 2)), 8000)
    >>> ids = {"a.wav": "a", "b.wav": "b", "c.wav": "c"}
    >>> gather_clips(folder, ids, f"{folder}/flac")
    ({'a.wav': (0.5, None), 'b.wav': (1.0, ['trimmed', 'downmixed', 'resampled'])}, {'c.wav': 'no regular file'})
    """
    usable, failed, other = {}, {}, {}

    def check(path):
        """Gives the path with its duration, or the reason against it."""
        source = os.path.join(data_folder, path)
        try:
            return path, check_clip(source, sample_rate, max_seconds), None
        except ValueError as error:
            return path, None, str(error)
        except OSError as error:
            return path, None, f"unreadable: {error.strerror}"

    num_workers = get_available_cpu_count()
    with ThreadPoolExecutor(num_workers) as pool:
        for path, seconds, reason in parallel_map(
            check,
            ids,
            chunk_size=64,
            queue_size=4 * num_workers,
            executor=pool,
            progress_bar_kwargs={"desc": name, "total": len(ids)},
        ):
            if reason is not None:
                failed[path] = reason
            elif seconds is None or NOT_IN_MANIFESTS.search(path):
                other[ids[path]] = path
            else:
                usable[path] = seconds, None
    if not other:
        return usable, failed

    os.makedirs(flac_folder, exist_ok=True)
    sources = {i: os.path.join(data_folder, path) for i, path in other.items()}
    for clip_id, source in sources.items():
        flac = os.path.join(flac_folder, f"{clip_id}.flac")
        if os.path.isfile(flac):
            if os.path.getmtime(flac) < os.path.getmtime(source):
                os.remove(flac)
    converted, not_converted = convert_clips(
        dict.fromkeys(other, max_seconds),
        lambda pending: ((clip_id, sources[clip_id]) for clip_id in pending),
        flac_folder,
        sample_rate,
        num_workers,
        f"{name or 'clips'}, to convert",
    )
    usable.update((other[i], about) for i, about in converted.items())
    failed.update((other[i], reason) for i, reason in not_converted.items())
    return usable, failed


def check_clip(path, sample_rate=16000, max_seconds=1.0):
    """Reads a clip to see whether it is whole and can be used as it is.

    Arguments
    ---------
    path : str
        The file.
    sample_rate : int
        The wanted rate, in Hz.
    max_seconds : float
        How long it may be.

    Returns
    -------
    seconds : float or None
        Its duration; None if it has to be converted first.

    Raises
    ------
    ValueError
        If it is empty, truncated, unreadable, shorter than 25 ms or has
        samples that are not finite.

    Example
    -------
    >>> import numpy as np
    >>> import soundfile as sf
    >>> path = str(getfixture("tmpdir") / "a.wav")
    >>> sf.write(path, np.zeros(1600), 16000)
    >>> check_clip(path), check_clip(path, sample_rate=8000)
    (0.1, None)
    """
    with open_audio(path) as file:
        _check_wav_is_whole(path)
        frames, rate = file.frames, file.samplerate
        ending = os.path.splitext(path)[1].lower()
        if (
            FORMATS.get(file.format) != ending
            or (file.channels, rate) != (1, sample_rate)
            or frames > round(max_seconds * sample_rate)
        ):
            return None
        found = sum(map(len, mono_blocks(file)))
    if frames <= 0:
        raise ValueError("empty file")
    if found < frames:
        raise ValueError(f"truncated: {found} of {frames} samples")
    if found < MIN_SECONDS * rate:
        raise ValueError(f"shorter than 25 ms: {found} samples")
    return found / rate


def _check_wav_is_whole(path):
    """Compares the size of a WAV file with its header; libsndfile does not."""
    with open(path, "rb") as file:
        head = file.read(12)
        if head[:4] != b"RIFF" or head[8:] != b"WAVE":
            return
        size = os.fstat(file.fileno()).st_size
        while len(chunk := file.read(8)) == 8:
            length = int.from_bytes(chunk[4:], "little")
            if chunk[:4] != b"data":
                file.seek(length + length % 2, os.SEEK_CUR)
                continue
            left = size - file.tell()
            if left < length < UNKNOWN_LENGTH:
                raise ValueError(f"truncated: {left} of {length} bytes")
            return
