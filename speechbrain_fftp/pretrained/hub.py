"""Finds published models on disk or on the Hugging Face Hub.

Only JSON and safetensors are downloaded, never pickles. huggingface_hub caches
and resumes downloads; what is cached can be used offline.

Authors
 * The speechbrain_fftp authors 2026
"""

import re
from pathlib import Path

MODEL_ID = r"([^/@\s]+/[^/@\s]+)(?:@([^@\s]+))?"
REQUIRED = ("config.json", "model.safetensors")
FILES = (*REQUIRED, "preprocessor_config.json")


def find_model(source: Path | str) -> Path:
    """Finds a file or folder on disk, or else a model on the Hugging Face Hub.

    Arguments
    ---------
    source : str or Path
        A path, ``owner/name`` or ``owner/name@revision``.

    Returns
    -------
    Path
        The path, or a folder of the cache that is named after the commit.

    Raises
    ------
    FileNotFoundError
        If there is no such path or model, or the hub cannot be reached.
    PermissionError
        If the model is gated and its terms have not been accepted.
    ValueError
        If the model lacks a file.
    """
    path = Path(source)
    if path.exists():
        return path

    from huggingface_hub import errors, snapshot_download

    match = re.fullmatch(MODEL_ID, str(source))
    no_id = FileNotFoundError(
        f"There is no file or folder {source}, and it is not a model id "
        "(owner/name or owner/name@revision)."
    )
    if match is None:
        raise no_id
    name, revision = match.groups()
    try:
        folder = Path(
            snapshot_download(name, revision=revision, allow_patterns=FILES)
        )
    except errors.HFValidationError as error:
        raise no_id from error
    except errors.GatedRepoError as error:
        raise PermissionError(
            f"The model {source} is gated: accept its terms on its page, and "
            "set HF_TOKEN to a valid access token."
        ) from error
    except (
        errors.RepositoryNotFoundError,
        errors.RevisionNotFoundError,
    ) as error:
        raise FileNotFoundError(
            f"There is no file or folder {source}, and no such model on the "
            "hub. If it is private, set HF_TOKEN to a valid access token."
        ) from error
    except (OSError, errors.HTTPError) as error:
        cause = str(error).partition("\n")[0]
        raise FileNotFoundError(
            f"There is no file or folder {source}, and the hub cannot be used. "
            f"Check the connection and HF_HUB_OFFLINE, and try again. ({cause})"
        ) from error
    missing = [file for file in REQUIRED if not (folder / file).is_file()]
    if missing:
        raise ValueError(
            f"The model {source} has no {' and no '.join(missing)}; pickles, "
            "which can run code, are not read."
        )
    return folder
