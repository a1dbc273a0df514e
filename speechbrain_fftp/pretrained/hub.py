"""Downloads published models from the Hugging Face Hub into its cache.

Only JSON and safetensors, never pickles. The cache has huggingface_hub's
layout; unlike its ``hf_hub_download``, the next call resumes a partial
download.

Authors
 * The speechbrain_fftp authors 2026
"""

import io
import json
import os
import re
from pathlib import Path

from speechbrain.utils.logger import get_logger
from speechbrain_fftp.dataio.files import (
    atomic_path,
    file_sha256,
    name_full_disk,
)

logger = get_logger(__name__)

MODEL_ID = r"([^/@\s]+/[^/@\s]+)(?:@(?!.*\.\.)(\w[\w.+/-]*))?"
COMMIT, SHA256 = "[0-9a-f]{40}", "[0-9a-f]{64}"
PICKLES = (".bin", ".pt", ".pth", ".ckpt")
# Files in the order of their download, with the most bytes that are accepted.
LIMITS = {"config.json": 2**20, "preprocessor_config.json": 2**20}
LIMITS["model.safetensors"] = 2**31
OPTIONAL = "preprocessor_config.json"
BAD_JSON = (RecursionError, TypeError, ValueError)


def find_model(source):
    """Finds a file or folder on disk, or else a model on the Hugging Face Hub.

    The source is a path, ``owner/name`` or ``owner/name@revision``. Returns the
    path, or a folder of the cache that is named after the commit. A commit in
    the cache needs no connection; other revisions are taken from there if the
    hub cannot be reached, or ``HF_HUB_OFFLINE`` is set.

    A FileNotFoundError says that there is no such path or model, or no
    connection; a PermissionError, that its terms have not been accepted; a
    ValueError, that a file is missing, too large or not as announced.
    """
    path = Path(source)
    if path.exists():
        return path
    from huggingface_hub import constants, errors, utils

    missing = f"There is no file or folder {source}, and"
    match = re.fullmatch(MODEL_ID, str(source), re.ASCII)
    name, revision = match.groups("main") if match else ("", "")
    try:
        utils.validate_repo_id(name)
    except errors.HFValidationError as error:
        what = "it is not a model id (owner/name or owner/name@revision)"
        raise FileNotFoundError(f"{missing} {what}.") from error
    cached = _find_cached(name, revision)
    if cached and cached.name == revision:
        return cached
    hub, login = constants.ENDPOINT, "set HF_TOKEN to a valid access token"
    try:
        return _download(name, revision)
    except (errors.HTTPError, errors.OfflineModeIsEnabled) as error:
        status = getattr(getattr(error, "response", None), "status_code", None)
        if isinstance(error, errors.GatedRepoError) or status == 403:
            text = f"{hub}/{name} is gated: accept its terms and {login}."
            raise PermissionError(text) from error
        if status in (401, 404):
            text = f"there is no model {source} on {hub}. If it is private,"
            raise FileNotFoundError(f"{missing} {text} {login}.") from error
        cause = f"status {status}" if status else str(error) or repr(error)
        if isinstance(error, errors.OfflineModeIsEnabled):
            cause = "HF_HUB_OFFLINE is set"
        elif cached:
            text = "%s is not available (%s): using commit %s of %s, cached"
            logger.warning(text, hub, cause, cached.name, name)
        if cached:
            return cached
        text = f"{hub} is not available ({cause}). When it is, try again:"
        text += " partial downloads are resumed."
        raise FileNotFoundError(f"{missing} {text}") from error


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

    pinned = revision if re.fullmatch(COMMIT, revision) else COMMIT
    options = {"timeout": constants.HF_HUB_ETAG_TIMEOUT, "files_metadata": True}
    try:
        info = HfApi().model_info(name, revision=revision, **options)
        sizes = {x.rfilename: int(x.size or 0) for x in info.siblings}
        sums = {x.rfilename: x.lfs.sha256 for x in info.siblings if x.lfs}
        pickles = ", ".join(x for x in sizes if x.endswith(PICKLES))
        if not re.fullmatch(pinned, info.sha):
            raise ValueError(f"the commit is {info.sha!r}")
        for file in sums.keys() & LIMITS:
            if not re.fullmatch(SHA256, sums[file]):
                raise ValueError(f"the SHA-256 of {file} is {sums[file]!r}")
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise errors.HTTPError(f"invalid answer: {error}") from error
    for file, limit in LIMITS.items():
        size = sizes.get(file, 0)
        if file not in sizes and file != OPTIONAL:
            why = f": pickles, which can run code, are not read ({pickles})"
            raise ValueError(f"{name} has no {file}{why if pickles else ''}.")
        if not 0 <= size <= limit:
            text = f"{file} of {name} has {size:,} bytes, more than the limit"
            raise ValueError(f"{text} of {limit:,}.")
    folder = Path(constants.HF_HUB_CACHE)
    folder /= repo_folder_name(repo_id=name, repo_type="model")
    snapshot = folder / "snapshots" / info.sha
    for file in LIMITS:
        path = snapshot / file
        if path.exists() and sizes.get(file, 0) not in (0, path.stat().st_size):
            path.resolve().unlink()
        if file in sizes and not path.exists():
            url = hf_hub_url(name, file, revision=info.sha)
            _fetch(url, path, sizes[file], sums.get(file))
        elif file not in sizes:  # huggingface_hub's mark of such files
            path = folder / ".no_exist" / info.sha / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    if _find_cached(name, revision) != snapshot:
        ref = folder / "refs" / revision
        ref.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(ref) as temporary_path:
            Path(temporary_path).write_text(info.sha)
    return snapshot


class _Limited(io.BufferedWriter):
    """A file that does not grow beyond its ``limit``."""

    def write(self, data):
        """Writes, unless the file would grow beyond the limit."""
        if self.tell() + len(data) > self.limit:
            raise ValueError(f"more than {self.limit:,} bytes")
        return super().write(data)


def _fetch(url, path, size, sha256):
    """Downloads a file of the cache, or the rest of it."""
    from huggingface_hub import errors, utils
    from huggingface_hub.file_download import http_get

    name, model = sha256 or f"{path.parent.name}.{path.name}", path.parents[2]
    blob = model / "blobs" / name
    part = blob.with_name(f"{name}.incomplete")
    headers = utils.build_hf_headers()
    mode = "a" if size else "w"  # without a size, it may be complete already
    lock = model.parent / ".locks" / model.name / f"{name}.lock"
    for file in (path, blob, lock):
        file.parent.mkdir(parents=True, exist_ok=True)
    with utils.WeakFileLock(lock), name_full_disk(part):
        if not blob.exists():
            try:
                with _Limited(io.FileIO(part, mode)) as file:
                    file.limit = size or LIMITS[path.name]
                    done = {"resume_size": file.tell()}
                    done.update(expected_size=size or None)
                    http_get(url, file, headers=headers, **done)
                if sha256 not in (None, file_sha256(part)):
                    raise ValueError("its SHA-256 differs")
                if path.suffix == ".json":
                    dict(**json.loads(part.read_bytes()))
            except (errors.HTTPError, OSError, *BAD_JSON) as error:
                if getattr(error, "errno", None):
                    raise
                broken = isinstance(error, errors.HTTPError)
                if not broken or not part.stat().st_size:
                    part.unlink()
                if broken:  # the next call continues
                    raise
                reason = str(error).partition("\n")[0].rstrip(".")
                raise ValueError(f"{url} was refused: {reason}.") from error
            os.replace(part, blob)
        if not path.exists():
            try:
                path.symlink_to(os.path.relpath(blob, path.parent))
            except OSError:  # a dangling link, or a system without links
                os.replace(blob, path)
