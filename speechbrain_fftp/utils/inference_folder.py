"""Makes the folder of a training one that SpeechBrain's classes load.

For the output folder of any recipe for classification, and without its data:

> python -m speechbrain_fftp.utils.inference_folder RUN_FOLDER FOLDER

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
from modulefinder import ModuleFinder
from pathlib import Path

import torch
from hyperpyyaml import load_hyperpyyaml
from ruamel.yaml import YAML

from speechbrain.dataio.encoder import CategoricalEncoder
from speechbrain.inference import classifiers
from speechbrain.utils.checkpoints import (
    DEFAULT_SAVE_HOOKS,
    Checkpointer,
    average_checkpoints,
    get_default_hook,
    torch_save,
)

# The modules of SpeechBrain's classes
MODULES = {
    "EncoderClassifier": (
        "compute_features",
        "mean_var_norm",
        "embedding_model",
        "classifier",
    ),
    "AudioClassifier": (
        "compute_stft",
        "compute_fbank",
        "embedding_model",
        "classifier",
    ),
}
# Their other names in recipes
NAMES = {"mean_var_norm": "mean_var_norm_input"}
# Settings with which recipes take steps that these classes lack
OTHER_STEPS = {
    "amp_to_db": True,
    "normalize": False,
    "use_tacotron2_mel_spec": True,
}

DESCRIPTION = """\
Makes the output folder of a recipe one that SpeechBrain's EncoderClassifier
loads; or AudioClassifier, for ESC50. The data are not needed. Python files that
the yaml file names must be in the current folder, and are copied.

--max_key, --min_key: the checkpoint with the highest or lowest value of a key,
    such as ErrorRate; by default, the newest
--num: the number of checkpoints whose weights are averaged
--save_folder: the folder of the checkpoints, if it is not save in the run's
--labels: the file of the label encoder, if it is not beside the checkpoints
--compute_features and others: the name of a module in the recipe, if another
"""
INFERENCE = """\
sample_rate: {0}
audio_normalizer: !new:speechbrain.dataio.preprocess.AudioNormalizer
    sample_rate: {0}
modules: null
label_encoder: &labels !new:speechbrain.dataio.encoder.CategoricalEncoder
pretrainer: !new:speechbrain.utils.parameter_transfer.Pretrainer
    loadables:
        label_encoder: *labels
"""
# Takes lengths, as a normalisation does
SAME = """\
!new:speechbrain.nnet.containers.LengthsCapableSequential
- !new:torch.nn.Identity
"""
HEADER = """\
# A trained model, for speechbrain.inference.classifiers.{}:
# what inference needs of the yaml file of its training

"""
CUSTOM = """\
# For speechbrain.inference.interfaces.foreign_class
from speechbrain.inference.classifiers import {} as CustomInterface
"""
# What the classes that a yaml file names may raise
LOAD_ERRORS = (
    AttributeError,
    ImportError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)
README = """\
# A trained model for SpeechBrain

It is loaded with its Python files, wherever this `FOLDER` is, by

```python
from speechbrain.inference.interfaces import foreign_class

model = foreign_class(source="FOLDER")
log_probs, score, index, label = model.classify_file("clip.wav")
```

Without Python files other than `custom.py`, by the class itself, too:
`speechbrain.inference.classifiers.{}.from_hparams(source="FOLDER")`. It names
one class of a clip, and takes the padding of a batch for sound.
"""
# For a new process in another folder, as users load the model
CLASSIFY = """
import torch
from speechbrain.inference.interfaces import foreign_class

model = foreign_class(source="inference", run_opts={"device": "cpu"})
torch.save(model.classify_batch(torch.load("wavs"))[0], "found")
"""


class Log1p(torch.nn.Module):
    """The logarithm of 1 + x, which ``AudioClassifier`` lacks after mel bands.

    Example
    -------
    >>> Log1p()(torch.tensor([0.0, 1.0]))
    tensor([0.0000, 0.6931])
    """

    def forward(self, x):
        """Computes it.

        Arguments
        ---------
        x : torch.Tensor
            Of any shape.

        Returns
        -------
        torch.Tensor
            Of the same shape.
        """
        return torch.log1p(x)


def convert_run(
    run_folder,
    folder,
    max_key=None,
    min_key=None,
    num=1,
    labels=None,
    save_folder=None,
    single_label=None,
    **names,
):
    """Writes the folder of a run, from its checkpoints.

    Arguments
    ---------
    run_folder : str
        The output folder of a recipe, with ``hyperparams.yaml``.
    folder : str
        The folder to write.
    max_key, min_key : str, optional
        The checkpoints with the highest, or lowest, value of this key; by
        default, the newest.
    num : int
        Number of checkpoints whose weights are averaged.
    labels : str, optional
        The file of the label encoder; by default that beside the checkpoints.
    save_folder : str, optional
        The folder of the checkpoints; by default ``save`` in the run's folder.
    single_label : bool, optional
        See ``derive_yaml``.
    **names : dict
        Names of modules in the recipe, by their names in SpeechBrain's classes,
        see ``MODULES``.

    Returns
    -------
    float
        The largest difference of what the model finds in a new process.

    Raises
    ------
    ValueError
        If something is missing in the run, or a new process finds something
        else.

    Example
    -------
    >>> run_folder = getfixture("tmpdir")
    >>> _ = run_folder.join("hyperparams.yaml").write("modules:")
    >>> convert_run(run_folder, "inference")
    Traceback (most recent call last):
    ValueError: .../save has no checkpoint, or none with this key
    """
    training = Path(run_folder, "hyperparams.yaml").read_text(encoding="utf-8")
    save = Path(save_folder or Path(run_folder, "save"))
    checkpoints = Checkpointer(save).find_checkpoints(
        max_key=max_key, min_key=min_key, max_num_checkpoints=num
    )
    if not checkpoints:
        raise ValueError(f"{save} has no checkpoint, or none with this key")
    files = [labels] if labels else list(save.glob("*encoder.txt"))
    if len(files) != 1:
        raise ValueError(
            f"{save} has {len(files)} files of labels: give one by --labels"
        )
    label_encoder = CategoricalEncoder()
    label_encoder.load(files[0])
    label_encoder.ignore_len()
    text = derive_yaml(training, len(label_encoder), single_label, names)
    return _write(folder, text, checkpoints, label_encoder)


def _interface(modules):
    """The name of SpeechBrain's class for modules with these names."""
    if "compute_stft" in modules:
        return "AudioClassifier"
    return "EncoderClassifier"


@torch.no_grad()
def _write(folder, text, checkpoints, label_encoder):
    """Writes the folder of a model, if a new process finds the same with it."""
    folder, wavs = Path(folder).resolve(), 0.1 * torch.randn(1, 32000)
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        model, weights = _load(text, checkpoints, label_encoder)
        expected = model.classify_batch(wavs)[0]
    except LOAD_ERRORS as error:
        reason = " ".join(str(error).split())
        raise ValueError(
            f"{folder} is not written, since its model cannot be loaded or run "
            f"({reason}): Python files must be in the current folder, and "
            "modules take what the one before them returns"
        ) from error
    interface = type(model).__name__
    texts = {
        "hyperparams.yaml": HEADER.format(interface) + text,
        "custom.py": CUSTOM.format(interface),
        "README.md": README.format(interface),
    }
    with tempfile.TemporaryDirectory(
        dir=folder.parent, prefix=f".{folder.name}."
    ) as temporary:
        written = Path(temporary, "inference")
        written.mkdir()
        for name, content in texts.items():
            (written / name).write_text(content, encoding="utf-8")
        for path in _find_files(text):
            shutil.copy(path, written)
        # .txt for people; .ckpt is the only name that Pretrainer finds by itself
        label_encoder.save(written / "label_encoder.txt")
        loadables = {**weights, "label_encoder": label_encoder}
        for name, loadable in loadables.items():
            save = get_default_hook(loadable, DEFAULT_SAVE_HOOKS)
            save(loadable, written / f"{name}.ckpt")
        found = _classify_elsewhere(written, wavs)
        difference = (found - expected).abs().max().item()
        if not difference <= 1e-3:  # or NaN
            raise ValueError(
                f"{folder} is not written, since {interface} finds something "
                f"else in a new process (difference {difference:.1g}): "
                f"checkpoints have only {', '.join(weights)} of the model"
            )
        folder.mkdir(exist_ok=True)
        for path in written.iterdir():
            os.replace(path, folder / path.name)
    return difference


def _load(text, checkpoints, label_encoder):
    """The model of a yaml file, and its objects that checkpoints have."""
    torch.seed()  # so that what they do not have differs in a new process
    hparams = load_hyperpyyaml(text)
    hparams["label_encoder"] = label_encoder
    weights = hparams["pretrainer"].loadables
    del weights["label_encoder"]
    save = checkpoints[0].path.parent
    Checkpointer(save, weights).load_checkpoint(checkpoints[0])
    for name, loadable in weights.items():
        # Others, such as statistics of features, have no average
        if get_default_hook(loadable, DEFAULT_SAVE_HOOKS) is torch_save:
            loadable.load_state_dict(average_checkpoints(checkpoints, name))
    modules = hparams["modules"]
    interface = getattr(classifiers, _interface(modules))
    return interface(modules, hparams, {"device": "cpu"}), weights


def _classify_elsewhere(folder, wavs):
    """Log-probabilities that a new process finds with the model of a folder."""
    elsewhere = folder.parent
    torch.save(wavs, elsewhere / "wavs")
    done = subprocess.run(
        [sys.executable, "-B", "-c", CLASSIFY],
        cwd=elsewhere,
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        reason = done.stderr.strip().rpartition("\n")[2]
        raise ValueError(
            f"the model cannot be loaded in a new process ({reason}): what its "
            "yaml file names must be installed, or in a Python file"
        )
    return torch.load(elsewhere / "found")


def derive_yaml(training, n_classes, single_label=None, names=None):
    """Derives the yaml file of a trained model from that of its training.

    Arguments
    ---------
    training : str
        The yaml file of the training as SpeechBrain saves it, with references
        resolved. It has the keys ``modules``, ``checkpointer`` and
        ``sample_rate``.
    n_classes : int
        Number of classes, in place of a function that has this name and counts
        them in the data.
    single_label : bool, optional
        Whether a clip has exactly one label; by default, unless the cost is
        ``bce_loss``.
    names : dict, optional
        Names of modules in the recipe, by their names in SpeechBrain's classes.

    Returns
    -------
    str
        The yaml file for inference.

    Raises
    ------
    ValueError
        If a module is missing, or the recipe has steps between its modules that
        SpeechBrain's classes lack.

    Example
    -------
    >>> training = '''
    ... lr: 0.1
    ... sample_rate: 8000
    ... n_classes: &classes !apply:builtins.len [[Cat, Dog]]
    ... same: &same !new:torch.nn.Identity
    ... layer: &layer !new:torch.nn.Linear [8, *classes]
    ... modules:
    ...     compute_features: *same
    ...     mean_var_norm: *same
    ...     embedding_model: *same
    ...     classifier: *layer
    ... checkpointer:
    ...     recoverables:
    ...         classifier: *layer
    ... '''
    >>> text = derive_yaml(training, n_classes=2)
    >>> print(text[text.index("modules") : text.index("label_encoder")].strip())
    modules:
      compute_features: &id001 !new:torch.nn.Identity
      mean_var_norm: *id001
      embedding_model: *id001
      classifier: !new:torch.nn.Sequential
      - &id002 !new:torch.nn.Linear [8, 2]
      - !new:torch.nn.LogSoftmax {dim: -1}
    """
    yaml = YAML()
    training = yaml.load(_without_comments(training))
    recipe, used = training["modules"], set()
    count = training.get("n_classes")

    def collect(node):
        """Collects the parts of a node; one is the number of classes."""
        used.add(id(node))
        items = list(enumerate(node)) if isinstance(node, list) else []
        if isinstance(node, dict):
            items = list(node.items())
        for key, part in items:
            if part is count and _tag(count).startswith("!apply:"):
                node[key] = n_classes
            collect(part)

    interface = _interface(recipe)
    for name, value in OTHER_STEPS.items():
        if training.get(name) is value:
            raise ValueError(
                f"{interface} lacks the step of a recipe with {name}: {value}"
            )
    modules = {}
    for role in MODULES[interface]:
        name = (names or {}).get(role) or role
        name = name if name in recipe else NAMES.get(name)
        if name in recipe:
            collect(recipe[name])
            modules[role] = recipe[name]
        elif role != "compute_fbank":
            raise ValueError(
                f"the recipe has no module {role}: choose one of "
                f"{', '.join(recipe)} by --{role}"
            )

    def in_sequence(*parts):
        """A sequence of modules."""
        nodes = yaml.load("!new:torch.nn.Sequential\n- ")
        nodes[:] = [yaml.load(x) if isinstance(x, str) else x for x in parts]
        return nodes

    content = yaml.load(INFERENCE.format(training.get("sample_rate", 16000)))
    if interface == "AudioClassifier":
        for name in ("spec_mag_power", "use_melspectra"):
            content[name] = training[name]
        if training["use_log1p_mel"] and "compute_fbank" in modules:
            modules["compute_fbank"] = in_sequence(
                modules["compute_fbank"],
                "!new:speechbrain_fftp.utils.inference_folder.Log1p",
            )
    elif _tag(modules["compute_features"]).endswith(".Leaf"):
        # The recipe normalises the waveforms
        modules["compute_features"] = in_sequence(
            modules["mean_var_norm"], modules["compute_features"]
        )
        modules["mean_var_norm"] = yaml.load(SAME)
    if single_label is None:
        cost = _tag(training.get("compute_cost"))
        single_label = re.search("bce|binary", cost, re.I) is None
    log = "LogSoftmax {dim: -1}" if single_label else "LogSigmoid"
    modules["classifier"] = in_sequence(
        modules["classifier"], f"!new:torch.nn.{log}"
    )
    content["modules"] = modules
    for name, node in training["checkpointer"]["recoverables"].items():
        if id(node) in used:
            content["pretrainer"]["loadables"][name] = node
    stream = io.StringIO()
    yaml.dump(content, stream)
    # An empty line before each key
    return re.sub(r"\n+(?=\w)", "\n\n", stream.getvalue())


def _without_comments(text):
    """A yaml text without comments, which would move with the keys."""
    yaml, stream = YAML(typ="safe", pure=True), io.StringIO()
    yaml.serialize(YAML(typ="safe", pure=True).compose(text), stream)
    return stream.getvalue()


def _tag(node):
    """The tag of a part of a yaml text."""
    return str(getattr(getattr(node, "tag", None), "value", None))


def _find_files(text):
    """The Python files that a yaml file needs, and what they import there.

    Those of packages are installed.
    """
    files = set()
    for name in set(re.findall(r"!\w+:(\w+)\.", text)):
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


def main(arguments=None):
    """Runs the command.

    Arguments
    ---------
    arguments : list of str, optional
        Its words; by default, those of the command line.

    Example
    -------
    >>> main(["no_run", "folder"])
    Traceback (most recent call last):
    SystemExit: [Errno 2] No such file or directory: 'no_run/hyperparams.yaml'
    """
    parser = argparse.ArgumentParser(
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for name in ("run_folder", "folder"):
        parser.add_argument(name)
    parser.add_argument("--num", type=int, default=1)
    names = ("max_key", "min_key", "save_folder", "labels")
    names += sum(MODULES.values(), ())
    for name in dict.fromkeys(names):
        parser.add_argument(f"--{name}")
    options = vars(parser.parse_args(arguments))
    try:
        difference = convert_run(**options)
    except (OSError, ValueError) as error:
        sys.exit(str(error))
    print(f"{options['folder']}: largest difference {difference:.0e}")


if __name__ == "__main__":
    main()
