"""Finds published models on disk, on the Hugging Face Hub or in a release.

From the hub, only JSON, ONNX, safetensors and lists of classes are downloaded, never
pickles. huggingface_hub caches and resumes downloads; cached models can be used
offline.

Authors
 * The speechbrain_fftp authors 2026
"""

import re
from collections.abc import Sequence
from pathlib import Path

from fftp_tag.errors import InputError
from fftp_tag.model.releases import RELEASES, download_release

HUB_ID = re.compile(r"([\w.-]+/[\w.-]+)(?:@([\w./-]+))?")  # and revision
FILES = ("config.json", "model.safetensors", "preprocessor_config.json")


def find_checkpoint(source: Path | str) -> Path:
    """Finds a file or folder on disk, or else a model that is published.

    Arguments
    ---------
    source : str or Path
        A path, a name in ``RELEASES``, ``owner/name`` or
        ``owner/name@revision``.

    Returns
    -------
    Path
        The path; the file of a release in the cache; or a folder in the
        cache, named after the commit.

    Raises
    ------
    FileNotFoundError
        If there is no such path or model, or it cannot be downloaded.
    InputError
        If the model has no model.safetensors, or a file's checksum is wrong.
    """
    path = Path(source)
    if path.exists():
        return path
    if str(source) in RELEASES:
        return download_release(str(source))
    folder = download(source, FILES)
    if not (folder / "model.safetensors").is_file():
        raise InputError(
            f"The model {source} has no model.safetensors; pickles, which can "
            "run code, are not read."
        )
    return folder


def download(source: Path | str, files: Sequence[str]) -> Path:
    """Downloads those files that a model on the hub has, if they are not cached.

    Arguments
    ---------
    source : str or Path
        ``owner/name`` or ``owner/name@revision``.
    files : sequence of str
        Their names.

    Returns
    -------
    Path
        A folder in the cache, named after the commit.

    Raises
    ------
    FileNotFoundError
        If there is no such model, or the hub cannot be used.
    """
    from huggingface_hub import errors, snapshot_download

    match = HUB_ID.fullmatch(str(source))
    if match is None:
        raise FileNotFoundError(
            f"There is no file or folder {source}, and it is not a model id "
            "(owner/name or owner/name@revision)."
        )
    name, revision = match.groups()
    try:
        folder = snapshot_download(
            name, revision=revision, allow_patterns=list(files)
        )
    except (OSError, ValueError, errors.HTTPError) as error:
        raise FileNotFoundError(
            f"There is no file or folder {source}, and no such model can be "
            "downloaded. Check the connection and HF_HUB_OFFLINE; if the model "
            "is private or gated, accept its terms on its page and set "
            f"HF_TOKEN. ({error})"
        ) from error
    return Path(folder)
