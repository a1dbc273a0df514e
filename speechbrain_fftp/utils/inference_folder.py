"""Writes a trained classifier into a folder that EncoderClassifier loads.

For the models of any recipe whose modules have the names in ``MODULES``.

Authors
 * The speechbrain_fftp authors 2026
"""

import shutil
import sys
from modulefinder import ModuleFinder
from pathlib import Path

import yaml
from hyperpyyaml import load_hyperpyyaml

from speechbrain.dataio.encoder import CategoricalEncoder
from speechbrain.utils.checkpoints import (
    DEFAULT_SAVE_HOOKS,
    Checkpointer,
    average_checkpoints,
    get_default_hook,
    torch_save,
)

MODULES = ("compute_features", "mean_var_norm", "embedding_model", "classifier")
INFERENCE = """\
sample_rate: {sample_rate}
audio_normalizer: !new:speechbrain.dataio.preprocess.AudioNormalizer
    sample_rate: {sample_rate}
modules: {{}}
label_encoder: &labels !new:speechbrain.dataio.encoder.CategoricalEncoder
expected_labels: !apply:speechbrain.dataio.encoder.CategoricalEncoder.expect_len
    - *labels
    - {n_classes}
pretrainer: !new:speechbrain.utils.parameter_transfer.Pretrainer
    loadables:
        label_encoder: *labels
"""
HEADER = """\
# A trained model, for speechbrain.inference.classifiers.EncoderClassifier
"""
CUSTOM = """\
# For speechbrain.inference.interfaces.foreign_class
from speechbrain.inference.classifiers import EncoderClassifier as CustomInterface
"""
README = """\
# A trained model for SpeechBrain

It is loaded with its Python files, wherever this `FOLDER` is, by

```python
from speechbrain.inference.interfaces import foreign_class

model = foreign_class(source="FOLDER")
log_probs, score, index, label = model.classify_file("clip.wav")
```

Without Python files other than `custom.py`, by the class itself, too:
`speechbrain.inference.classifiers.EncoderClassifier.from_hparams(source="FOLDER")`.
It names one class of a clip, takes the padding of a batch for sound, and does
not cut long recordings into pieces.
"""


def write_folder(
    folder, training, recoverables, label_encoder, single_label, settings=None
):
    """Writes a model into a folder, at the end of its training.

    Arguments
    ---------
    folder : str
        The folder; it is created, and can be moved.
    training : str
        The yaml file of the training as SpeechBrain saves it, with references
        resolved.
    recoverables : dict
        The objects of the checkpointer, with the weights to save.
    label_encoder : CategoricalEncoder
        The labels. Their number is also used in place of a key ``n_classes``
        that counts them in the data.
    single_label : bool
        Whether a clip has exactly one label.
    settings : dict, optional
        Further keys for the yaml file of the folder, with plain values.

    Raises
    ------
    ValueError
        If a module is missing.

    Example
    -------
    >>> import torch
    >>> training = '''
    ... lr: 0.1
    ... same: &same !new:torch.nn.Identity
    ... layer: &layer !new:torch.nn.Linear [8, 2]
    ... modules:
    ...     compute_features: *same
    ...     mean_var_norm: *same
    ...     embedding_model: *same
    ...     classifier: *layer
    ... checkpointer:
    ...     recoverables:
    ...         classifier: *layer
    ... '''
    >>> labels = CategoricalEncoder()
    >>> labels.update_from_iterable(["Cat", "Dog"])
    >>> folder = Path(getfixture("tmpdir"), "inference")
    >>> recoverables = {"classifier": torch.nn.Linear(8, 2)}
    >>> write_folder(folder, training, recoverables, labels, single_label=True)
    >>> sorted(path.name for path in folder.glob("*.ckpt"))
    ['classifier.ckpt', 'label_encoder.ckpt']
    """
    text, names = _derive_yaml(
        training, len(label_encoder), single_label, settings
    )
    loadables = {name: recoverables[name] for name in names}
    _write(folder, text, loadables, label_encoder)


def convert_run(
    run_folder, folder, max_key=None, min_key=None, num=1, single_label=True
):
    """Writes a model into a folder, from the output folder of its training.

    The data are not needed. Python files that the yaml file names must be
    importable.

    Arguments
    ---------
    run_folder : str
        The output folder of a recipe, with ``hyperparams.yaml``, and with
        checkpoints and ``label_encoder.txt`` in ``save``.
    folder : str
        The folder to write.
    max_key, min_key : str, optional
        The checkpoints with the highest, or lowest, value of this key; by
        default, the newest.
    num : int
        Number of checkpoints whose weights are averaged.
    single_label : bool
        See ``write_folder``.

    Raises
    ------
    ValueError
        If there is no such checkpoint, or a module is missing.

    Example
    -------
    >>> run_folder = getfixture("tmpdir")
    >>> _ = run_folder.join("hyperparams.yaml").write("modules:")
    >>> convert_run(run_folder, "inference")
    Traceback (most recent call last):
    ValueError: .../save has no checkpoint, or none with this key
    """
    training = Path(run_folder, "hyperparams.yaml").read_text(encoding="utf-8")
    save = Path(run_folder, "save")
    checkpoints = Checkpointer(save).find_checkpoints(
        max_key=max_key, min_key=min_key, max_num_checkpoints=num
    )
    if not checkpoints:
        raise ValueError(f"{save} has no checkpoint, or none with this key")
    label_encoder = CategoricalEncoder()
    label_encoder.load(save / "label_encoder.txt")
    label_encoder.ignore_len()
    text, names = _derive_yaml(training, len(label_encoder), single_label)
    loadables = load_hyperpyyaml(text)["pretrainer"].loadables
    loadables = {name: loadables[name] for name in names}
    Checkpointer(save, loadables).load_checkpoint(checkpoints[0])
    for name, item in loadables.items():
        # Others, such as statistics of features, have no average
        if get_default_hook(item, DEFAULT_SAVE_HOOKS) is torch_save:
            item.load_state_dict(average_checkpoints(checkpoints, name))
    _write(folder, text, loadables, label_encoder)


def _write(folder, text, loadables, label_encoder):
    """Writes the files of a folder, given its yaml file and its objects."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in (
        ("hyperparams.yaml", HEADER + text),
        ("custom.py", CUSTOM),
        ("README.md", README),
    ):
        (folder / name).write_text(content, encoding="utf-8")
    for path in _find_files(text):
        shutil.copy(path, folder)
    # .txt for people; .ckpt is the only name that Pretrainer finds by itself
    label_encoder.save(folder / "label_encoder.txt")
    for name, item in {**loadables, "label_encoder": label_encoder}.items():
        save = get_default_hook(item, DEFAULT_SAVE_HOOKS)
        save(item, folder / f"{name}.ckpt")


def _derive_yaml(training, n_classes, single_label, settings=None):
    """The yaml file for inference, and the names of what it loads."""
    training = _items(yaml.compose(training))
    modules = _items(training["modules"])
    missing = [name for name in MODULES if name not in modules]
    if missing:
        raise ValueError(f"the training has no modules {', '.join(missing)}")
    counted, count = training.get("n_classes"), _node(n_classes)
    used = [part for name in MODULES for part in _parts(modules[name])]
    for part in used:
        if isinstance(part, yaml.SequenceNode):
            part.value = [count if x is counted else x for x in part.value]
        elif isinstance(part, yaml.MappingNode):
            pairs = part.value
            part.value = [(k, count if x is counted else x) for k, x in pairs]
    log = "LogSoftmax {dim: -1}" if single_label else "LogSigmoid {}"
    classifier = yaml.compose(f"!new:torch.nn.Sequential [!new:torch.nn.{log}]")
    classifier.flow_style = False
    classifier.value.insert(0, modules["classifier"])
    modules["classifier"] = classifier
    recoverables = _items(_items(training["checkpointer"])["recoverables"])
    names = [name for name, x in recoverables.items() if x in used]
    rate = training["sample_rate"].value if "sample_rate" in training else 16000
    inference = yaml.compose(
        INFERENCE.format(sample_rate=rate, n_classes=n_classes)
    )
    keys = _items(inference)
    keys["modules"].flow_style = False
    keys["modules"].value = [(_node(x), modules[x]) for x in MODULES]
    loadables = _items(keys["pretrainer"])["loadables"]
    loadables.value += [(_node(x), recoverables[x]) for x in names]
    inference.value += _node(settings or {}).value
    return yaml.serialize(inference), names


def _items(node):
    """The nodes of a mapping's values by its keys."""
    return {key.value: value for key, value in node.value}


def _node(value):
    """The node of a plain value."""
    return yaml.compose(yaml.safe_dump(value, sort_keys=False))


def _parts(node):
    """Yields a node, and all nodes in it."""
    yield node
    values = []
    if isinstance(node, yaml.SequenceNode):
        values = node.value
    elif isinstance(node, yaml.MappingNode):
        values = [value for _, value in node.value]
    for value in values:
        yield from _parts(value)


def _find_files(text):
    """The Python files that a yaml file needs, and what they import there.

    Those of packages are installed.
    """
    files = set()
    tags = [node.tag for node in _parts(yaml.compose(text))]
    names = [tag.partition(":")[2] for tag in tags if tag.startswith("!")]
    for name in {name.partition(".")[0] for name in names if name}:
        module = sys.modules[name]
        if hasattr(module, "__path__") or name in sys.stdlib_module_names:
            continue
        folder = Path(module.__file__).parent
        finder = ModuleFinder(path=[str(folder)])
        finder.import_hook(name)
        for module in finder.modules.values():
            # There is no file of a module such as sys
            if module.__file__ and Path(module.__file__).parent == folder:
                files.add(module.__file__)
    return sorted(files)
