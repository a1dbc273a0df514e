"""Downloads published models from the Hugging Face Hub into its cache.

Only JSON and safetensors, never pickles. The cache has huggingface_hub's layout;
unlike its ``hf_hub_download``, the next call resumes a partial download.

Authors
 * The speechbrain_fftp authors 2026
"""

import io
import json
import os
import re
from pathlib import Path

from speechbrain.utils.logger import get_logger
from speechbrain_fftp.dataio.disk import name_full_disk
from speechbrain_fftp.dataio.files import atomic_path, file_sha256

logger = get_logger(__name__)

MODEL_ID = r"([^/@\s]+/[^/@\s]+)(?:@(?!.*\.\.)(\w[\w.+/-]*))?"
COMMIT = "[0-9a-f]{40}"
SHA256 = "[0-9a-f]{64}"
# Files in the order of their download, with the most bytes that are accepted.
LIMITS = {"config.json": 2**20, "preprocessor_config.json": 2**20}
LIMITS["model.safetensors"] = 2**31
OPTIONAL = "preprocessor_config.json"
PICKLES = (".bin", ".pt", ".pth", ".ckpt")


def find_model(source):
    """Finds a model on disk, or downloads it from the Hugging Face Hub.

    Without a connection, or with ``HF_HUB_OFFLINE`` set, the revision as it was
    last downloaded is used. A commit in the cache needs no connection.

    Arguments
    ---------
    source : str or Path
        A file or folder, or else ``owner/name`` or ``owner/name@revision``.

    Returns
    -------
    pathlib.Path
        The file or folder, or a folder of the cache named after the commit.

    Raises
    ------
    FileNotFoundError
        If there is neither such a path nor such a model.
    OSError
        If the hub cannot be reached or denies access.
    ValueError
        If a file is missing, too large, or not what the hub has announced.

    Example
    -------
    >>> find_model(getfixture("tmpdir")).is_dir()
    True
    >>> find_model("a/model/ast.pth")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    FileNotFoundError: There is no file or folder a/model/ast.pth, and it is ...
    """
    path = Path(source)
    if path.exists():
        return path
    from huggingface_hub import constants, errors, utils

    missing = f"There is no file or folder {source}, and"
    match = re.fullmatch(MODEL_ID, str(source), re.ASCII)
    try:
        name, revision = match[1], match[2] or constants.DEFAULT_REVISION
        utils.validate_repo_id(name)
    except (TypeError, errors.HFValidationError) as error:
        raise FileNotFoundError(
            f"{missing} it is not the id of a model on the Hugging Face Hub "
            "(owner/name or owner/name@revision)."
        ) from error
    cached = _find_cached(name, revision)
    if cached and cached.name == revision:
        return cached
    try:
        return _download(name, revision)
    except errors.OfflineModeIsEnabled as error:
        if cached:
            return cached
        raise FileNotFoundError(
            f"{missing} {source} is not in {constants.HF_HUB_CACHE}. Unset "
            "HF_HUB_OFFLINE to download it."
        ) from error
    except errors.HTTPError as error:
        status = error.response.status_code if hasattr(error, "response") else 0
        hub, cause = constants.ENDPOINT, f"{type(error).__name__} {error}"
        cause = f"status {status}" if status else " ".join(cause.split())
        if cached and (not status or status == 429 or status >= 500):
            text = "%s is not available (%s): using %s, commit %s of the cache"
            logger.warning(text, hub, cause, name, cached.name)
            return cached
        login = "set HF_TOKEN to an access token of an account with access"
        if isinstance(error, errors.GatedRepoError) or status == 403:
            kind, text = PermissionError, f"{hub}/{name} is gated: {login}."
        elif status in (401, 404):  # 401: without a login, also for no model
            kind, text = FileNotFoundError, f"there is no {source} on {hub}."
            text += f" If it is private or gated, {login}." * (status == 401)
        else:
            kind, text = OSError, f"{hub} is not available ({cause}). Try again"
            text += " with a connection: partial downloads are resumed."
        raise kind(f"{missing} {text}") from error


def _find_cached(name, revision):
    """The cached folder of a revision with all its files, or None."""
    from huggingface_hub import try_to_load_from_cache as find

    config, more, weights = (find(name, x, revision=revision) for x in LIMITS)
    # A file that the revision does not have is an object that is not a path.
    if more and isinstance(config, str) and isinstance(weights, str):
        return Path(config).parent


def _download(name, revision):
    """Downloads what the cache lacks of a model, and returns its folder."""
    from huggingface_hub import HfApi, constants, errors, hf_hub_url
    from huggingface_hub.file_download import repo_folder_name

    try:
        info = HfApi().model_info(
            name,
            revision=revision,
            timeout=constants.HF_HUB_ETAG_TIMEOUT,
            files_metadata=True,
        )
        sizes = {x.rfilename: int(x.size or 0) for x in info.siblings}
        sums = {x.rfilename: x.lfs.sha256 for x in info.siblings if x.lfs}
        pickles = ", ".join(x for x in sizes if x.endswith(PICKLES))
        pinned = revision if re.fullmatch(COMMIT, revision) else COMMIT
        if not re.fullmatch(pinned, info.sha):
            raise ValueError(f"the commit {info.sha!r}")
        for file in sums.keys() & LIMITS:
            if not re.fullmatch(SHA256, sums[file]):
                raise ValueError(f"the checksum {sums[file]!r}")
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise errors.HTTPError(f"no answer of a hub: {error}") from error
    for file, limit in LIMITS.items():
        if file not in sizes and file != OPTIONAL:
            why = f". Pickles can run code and are not loaded: {pickles}"
            raise ValueError(f"{name} has no {file}{why if pickles else ''}.")
        if not 0 <= sizes.get(file, 0) <= limit:
            raise ValueError(
                f"{file} of {name} has {sizes[file]:,} bytes. Files of more "
                f"than {limit:,} bytes are not loaded."
            )
    folder = Path(constants.HF_HUB_CACHE)
    folder /= repo_folder_name(repo_id=name, repo_type="model")
    snapshot = folder / "snapshots" / info.sha
    for file in LIMITS:
        if file in sizes:
            url = hf_hub_url(name, file, revision=info.sha)
            path = snapshot / file
            if path.exists() and sizes[file] not in (0, path.stat().st_size):
                path.resolve().unlink()
            if not path.exists():
                _fetch(url, path, sizes[file], sums.get(file))
        else:  # as huggingface_hub marks files that a commit does not have
            mark = folder / ".no_exist" / info.sha / file
            mark.parent.mkdir(parents=True, exist_ok=True)
            mark.touch()
    if _find_cached(name, revision) != snapshot:
        ref = folder / "refs" / revision
        ref.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(ref) as temporary_path:
            Path(temporary_path).write_text(info.sha)
    return snapshot


class _Limited(io.BufferedWriter):
    """A file that does not grow beyond its ``limit``."""

    def write(self, data):
        if self.tell() + len(data) > self.limit:
            raise ValueError(f"more than {self.limit:,} bytes")
        return super().write(data)


def _fetch(url, path, size, sha256):
    """Downloads a file of the cache, or what a partial download lacks."""
    from huggingface_hub import errors, utils
    from huggingface_hub.file_download import http_get

    name = sha256 or f"{path.parent.name}.{path.name}"
    model = path.parents[2]
    blob = model / "blobs" / name
    part = blob.with_name(f"{name}.incomplete")
    lock = model.parent / ".locks" / model.name / f"{name}.lock"
    for folder in (path.parent, blob.parent, lock.parent):
        folder.mkdir(parents=True, exist_ok=True)
    with utils.WeakFileLock(lock):
        if not blob.exists():
            try:
                with name_full_disk(part), _Limited(
                    io.FileIO(part, "a")
                ) as file:
                    file.limit = size or LIMITS[path.name]
                    http_get(
                        url,
                        file,
                        resume_size=file.tell(),
                        headers=utils.build_hf_headers(),
                        expected_size=size or None,
                    )
                if sha256 not in (None, file_sha256(part)):
                    raise ValueError("its checksum differs")
                if path.suffix == ".json":
                    dict(**json.loads(part.read_bytes()))
            except errors.HTTPError:
                raise  # the partial download is resumed by the next call
            except (OSError, RecursionError, TypeError, ValueError) as error:
                if getattr(error, "errno", None):
                    raise
                part.unlink()
                reason = str(error).partition("\n")[0]
                raise ValueError(f"{url} was refused: {reason}") from error
            os.replace(part, blob)
        if not path.exists():
            try:
                path.symlink_to(os.path.relpath(blob, path.parent))
            except OSError:  # a dangling link, or a system without links
                os.replace(blob, path)
