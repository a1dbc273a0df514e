"""Published models that are files of a release, and their download.

Authors
 * The speechbrain_fftp authors 2026
"""

import logging
import os
import shutil
from pathlib import Path
from typing import NamedTuple

from fftp_tag.errors import InputError
from fftp_tag.files import atomic_path, file_sha256

logger = logging.getLogger(__name__)

EFFICIENTAT = (
    "https://github.com/fschmid56/EfficientAT/releases/download/v0.0.1"
)


class Release(NamedTuple):
    """A file of a release."""

    url: str
    sha256: str


# Those whose checksum is known
RELEASES = {
    "efficientat/mn04_as": Release(
        f"{EFFICIENTAT}/mn04_as_mAP_432.pt",
        "899a8c6217063f6941793102a2780b3dd788ab11fce468d9cf5f0577c453321c",
    ),
    "efficientat/mn10_as": Release(
        f"{EFFICIENTAT}/mn10_as_mAP_471.pt",
        "0bd7dc2443af498c289a2e739f02ebb515d6aa3fd3ab9db539c86123ae368a4e",
    ),
}


def cache_folder() -> Path:
    """The cache folder of downloaded files and of converted models."""
    folder = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(folder) / "fftp_tag"


def download_release(name: str) -> Path:
    """Downloads a file of ``RELEASES``, if it is not in the cache.

    Returns
    -------
    Path
        The file, whose checksum is right.

    Raises
    ------
    FileNotFoundError
        If it cannot be downloaded.
    InputError
        If its checksum is wrong.
    """
    from urllib.request import urlopen  # slow to import

    release = RELEASES[name]
    path = cache_folder() / release.url.rpartition("/")[2]
    if path.is_file() and file_sha256(path) == release.sha256:
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    logger.info("%s is downloaded from %s", name, release.url)
    try:
        with atomic_path(path) as temporary_path:
            with (
                urlopen(release.url, timeout=30) as response,
                open(temporary_path, "wb") as file,
            ):
                shutil.copyfileobj(response, file)
            if file_sha256(temporary_path) != release.sha256:
                raise InputError(
                    f"{release.url} is damaged, or another file: its SHA-256 is "
                    f"not {release.sha256}"
                )
    except OSError as error:
        raise FileNotFoundError(
            f"{name}: {release.url} cannot be downloaded. Download it elsewhere "
            f"and give the file. ({error})"
        ) from error
    return path
