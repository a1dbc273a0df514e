"""Writes a model as data, for ``speechbrain_fftp.inference.folder``.

Authors
 * The speechbrain_fftp authors 2026
"""

import inspect
import pydoc
from pathlib import Path

import torch

from speechbrain_fftp.dataio.files import write_csv, write_json
from speechbrain_fftp.inference.folder import (
    FILES,
    MODULES,
    NUMBERS,
    PARTS,
    load_folder,
)

CLASSES = {cls: name for part in PARTS.values() for name, cls in part.items()}


def save_folder(folder, recipe, modules, labels, single_label=False):
    """Writes config.json, model.safetensors and labels.csv.

    What was written is read again, so that files that are there can be loaded.

    Arguments
    ---------
    folder : str
        A folder that exists.
    recipe : dict
        The resolved yaml of the experiment, as ruamel.yaml reads it.
    modules : dict of torch.nn.Module
        The trained ``embedding_model`` and ``classifier``.
    labels : list of str
        The label of each class, in their order.
    single_label : bool
        Whether a clip has one class only.

    Raises
    ------
    ValueError
        If the model or its labels are of another kind than these files can
        hold; none of them is there then.

    Example
    -------
    >>> save_folder(getfixture("tmpdir"), {}, {}, ["Dog"])
    Traceback (most recent call last):
    ValueError: The recipe lacks part of a tagging model.
    """
    from safetensors.torch import save_file

    config = describe_model(recipe)
    if single_label:
        config["single_label"] = True
    tensors = {
        f"{name}.{key}": value.detach().cpu().clone().contiguous()
        for name, module in modules.items()
        for key, value in module.state_dict().items()
    }
    folder = Path(folder)
    try:
        write_json(folder / "config.json", config)
        save_file(tensors, folder / "model.safetensors")
        write_csv(folder / "labels.csv", ("index", "label"), enumerate(labels))
        load_folder(folder)
    except ValueError:
        for name in FILES:
            (folder / name).unlink(missing_ok=True)
        raise


def describe_model(recipe):
    """The content of config.json for a recipe.

    Arguments
    ---------
    recipe : dict
        The resolved yaml of an experiment, as ruamel.yaml reads it.

    Returns
    -------
    dict
        Numbers, and for each module its class and its arguments.

    Raises
    ------
    ValueError
        If a module is missing or not of a class in the table.

    Example
    -------
    >>> import ruamel.yaml
    >>> text = '''
    ... sample_rate: 16000
    ... max_frames: 128
    ... compute_features: !new:speechbrain_fftp.lobes.features.KaldiFbank
    ... mean_var_norm: !new:speechbrain_fftp.lobes.features.DatasetNormalization
    ... embedding_model: !new:speechbrain_fftp.lobes.models.AST.AST
    ...     depth: 2
    ... classifier: !new:torch.nn.Linear [768, 5]
    ... '''
    >>> config = describe_model(ruamel.yaml.YAML().load(text))
    >>> config["embedding_model"]
    {'class': 'AST', 'depth': 2}
    >>> config["classifier"]
    {'class': 'Linear', 'in_features': 768, 'out_features': 5}
    """
    if not {*NUMBERS, *MODULES} <= set(recipe):
        raise ValueError("The recipe lacks part of a tagging model.")
    return {key: _plain(recipe[key], key) for key in (*NUMBERS, *MODULES)}


def _plain(node, where):
    """A node of the yaml as JSON can hold it."""
    tag = getattr(getattr(node, "tag", None), "value", None)
    if tag:
        return _describe(node, tag, where)
    if isinstance(node, dict):
        return {str(key): _plain(node[key], where) for key in node}
    if isinstance(node, list):
        return [_plain(item, where) for item in node]
    for kind in (bool, int, float, str):
        if isinstance(node, kind):
            return kind(node)
    if node is not None:
        raise ValueError(f"{where}: {node!r} is neither text nor number.")
    return None


def _describe(node, tag, where):
    """The class and the arguments of a node that makes an object."""
    kind, _, path = str(tag).partition(":")
    cls = pydoc.locate(path) if kind == "!new" else None
    if cls not in CLASSES:
        raise ValueError(f"{where} is {tag}, which the data-only form lacks.")
    described = {"class": CLASSES[cls]}
    if isinstance(node, dict):
        arguments = {key: _plain(node[key], key) for key in node}
    elif not isinstance(node, list):  # no arguments
        arguments = {}
    elif cls is torch.nn.Sequential:
        arguments = {"layers": [_plain(item, where) for item in node]}
    else:
        values = [_plain(item, where) for item in node]
        arguments = inspect.signature(cls).bind(*values).arguments
    return {**described, **arguments}
