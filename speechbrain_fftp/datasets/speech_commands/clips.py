"""Short clips: used where they are, or converted if they do not fit.

Authors
 * The speechbrain_fftp authors 2026
"""

import os
import re
from concurrent.futures import ThreadPoolExecutor

from speechbrain.utils.parallel import get_available_cpu_count, parallel_map
from speechbrain_fftp.dataio.audio import MIN_SECONDS, mono_blocks, open_audio
from speechbrain_fftp.dataio.convert import convert_clips

# A manifest cannot hold '$' (it starts a variable), control characters and
# bytes that are not UTF-8
NOT_IN_MANIFESTS = re.compile(r"[$\x00-\x1f\x7f\ud800-\udfff]")
EXTENSION_OF_FORMAT = {"WAV": ".wav", "WAVEX": ".wav", "FLAC": ".flac"}


def use_or_convert(
    data_folder, ids, flac_folder, sample_rate=16000, max_seconds=1.0, name=None
):
    """Checks clips, and converts those that cannot be used as they are.

    ``ids`` maps paths relative to ``data_folder`` to ids. Clips that are not
    mono wav or flac files of this rate, or are longer than ``max_seconds``, are
    converted to ``flac_folder/ID.flac`` unless they are there already; the rest
    of a long clip is dropped. ``name`` labels the progress bar.

    Returns duration and treatments (None for clips that are used as they are)
    of each usable path, and the reason why the others cannot be used.
    """
    usable, failed, other = {}, {}, {}

    def check(path):
        """Returns the duration of a clip, or why it cannot be used."""
        source = os.path.join(data_folder, path)
        try:
            return usable_seconds(source, sample_rate, max_seconds)
        except ValueError as error:
            return str(error)
        except OSError as error:
            return f"unreadable: {error.strerror}"

    num_workers = get_available_cpu_count()
    with ThreadPoolExecutor(num_workers) as pool:
        bar = {"desc": name, "total": len(ids)}
        checked = parallel_map(
            check, ids, chunk_size=64, executor=pool, progress_bar_kwargs=bar
        )
        checked = dict(zip(ids, checked))
    for path, found in checked.items():
        if isinstance(found, str):
            failed[path] = found
        elif found is None or NOT_IN_MANIFESTS.search(path):
            other[ids[path]] = path
        else:
            usable[path] = found, None
    if not other:
        return usable, failed

    os.makedirs(flac_folder, exist_ok=True)
    converted, not_converted = convert_clips(
        dict.fromkeys(other, max_seconds),
        lambda todo: ((i, os.path.join(data_folder, other[i])) for i in todo),
        flac_folder,
        sample_rate,
        num_workers,
        f"{name or 'clips'}, to convert",
    )
    usable.update((other[i], about) for i, about in converted.items())
    failed.update((other[i], reason) for i, reason in not_converted.items())
    return usable, failed


def usable_seconds(path, sample_rate=16000, max_seconds=1.0):
    """Returns the duration of a clip that can be used as it is, else None.

    Reads the whole clip. Raises a ``ValueError`` if it cannot be used at all:
    empty, truncated, unreadable, shorter than 25 ms or with invalid samples.
    """
    extension = os.path.splitext(path)[1].lower()
    if extension not in EXTENSION_OF_FORMAT.values():
        return None
    with open_audio(path) as file:
        frames, rate = file.frames, file.samplerate
        if (
            file.decoded
            or EXTENSION_OF_FORMAT.get(file.format) != extension
            or (file.channels, rate) != (1, sample_rate)
            or frames > round(max_seconds * sample_rate)
        ):
            return None
        found = sum(map(len, mono_blocks(file)))
        if missing := file.missing_part():
            raise ValueError(f"truncated: {missing}")
    if not found:
        raise ValueError("empty file")
    if found < MIN_SECONDS * rate:
        raise ValueError(f"shorter than 25 ms: {found} samples")
    return found / rate
