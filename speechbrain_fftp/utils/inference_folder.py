"""Writes a trained model into a folder that ``EncoderClassifier`` loads.

Its yaml file is derived from that of the training. Before the folder is in
place, it is loaded once, as its users load it.

Authors
 * The speechbrain_fftp authors 2026
"""

import copy
import io
import json
import re
import shutil
import subprocess
import sys
import tempfile
from modulefinder import ModuleFinder
from pathlib import Path

import torch
from ruamel.yaml import YAML, MappingNode, ScalarNode, SequenceNode

from speechbrain.utils.distributed import run_on_main
from speechbrain_fftp.dataio.errors import InputError
from speechbrain_fftp.dataio.files import moved_together
from speechbrain_fftp.lobes.tagger import classify, extract_features

# The modules of EncoderClassifier
MODULES = ("compute_features", "mean_var_norm", "embedding_model", "classifier")

HEADER = """\
# A trained model, for speechbrain.inference.classifiers.EncoderClassifier: what
# inference needs of the yaml file of its training

"""
FOLDER = """\
# The Python files of the model are in this folder: change this if it is moved
__folder: !apply:sys.path.insert [0, {folder}]

"""
INFERENCE = """
audio_normalizer: !new:speechbrain.dataio.preprocess.AudioNormalizer
    sample_rate: {sample_rate}
label_encoder: !new:speechbrain.dataio.encoder.CategoricalEncoder
pretrainer: !new:speechbrain.utils.parameter_transfer.Pretrainer
    loadables:
        label_encoder: !ref <label_encoder>
"""

# For a new process in the folder, which finds no other file of the training, and
# leaves none there (-B)
CLASSIFY = """
import sys
import torch
from speechbrain.inference.classifiers import EncoderClassifier

clip, outputs = sys.argv[1:]
wavs = torch.load(clip)
model = EncoderClassifier.from_hparams(source=".", run_opts={"device": "cpu"})
feats = model.mods.compute_features(wavs)
feats = model.mods.mean_var_norm(feats, torch.ones(1))
log_probs, *_ = model.classify_batch(wavs)
torch.save((feats, model.encode_batch(wavs), log_probs), outputs)
"""


def write_inference_folder(brain, datasets, *, folder, single_label=False):
    """Writes a folder that ``EncoderClassifier.from_hparams`` loads.

    For ``after`` in a yaml file. Files of an earlier training are replaced once
    a new process has loaded the new ones, and has found in a training clip what
    the trained model finds.

    Arguments
    ---------
    brain : speechbrain.Brain
        The Brain, after its evaluation. Its ``output_folder`` has the yaml file
        of the training, ``hyperparams.yaml``.
    datasets : dict of DynamicItemDataset
        ``train``, with clips ``sig`` in 16 bits.
    folder : str
        The folder.
    single_label : bool
        Whether a clip has exactly one label.

    Raises
    ------
    InputError
        If the model cannot be loaded, or differs from the trained one.

    Example
    -------
    >>> from hyperpyyaml import load_hyperpyyaml
    >>> yaml = '''
    ... after:
    ...     - !name:speechbrain_fftp.utils.inference_folder.write_inference_folder
    ...         folder: results/inference
    ... '''
    >>> [write] = load_hyperpyyaml(yaml)["after"]  # for write(brain, datasets)
    >>> write.keywords
    {'folder': 'results/inference'}
    """
    wavs = datasets["train"][0]["sig"][None] / 32768
    run_on_main(
        _write_folder, args=[brain.hparams, wavs, Path(folder), single_label]
    )


def _write_folder(hparams, wavs, folder, single_label):
    """Writes the folder on the main process."""
    training = Path(hparams.output_folder, "hyperparams.yaml")
    text, weights = derive_yaml(
        training.read_text(encoding="utf-8"), vars(hparams), single_label
    )
    files = _find_files(text)
    with moved_together(folder) as unfinished:
        _write_yaml(unfinished, text, files, unfinished)
        for path in files:
            shutil.copy(path, unfinished)
        for name in weights:
            state = hparams.checkpointer.recoverables[name].state_dict()
            state = {key: tensor.cpu() for key, tensor in state.items()}
            torch.save(state, unfinished / f"{name}.ckpt")
        # .txt for people; .ckpt is the only name that Pretrainer finds by itself
        for suffix in ("txt", "ckpt"):
            hparams.label_encoder.save(unfinished / f"label_encoder.{suffix}")
        problem = _compare(unfinished, hparams.modules, wavs, single_label)
        if problem:
            raise InputError(
                f"{folder} is not written, since {problem}. The checkpoints "
                "are kept: repeat the command then."
            )
        _write_yaml(unfinished, text, files, folder)


def _write_yaml(unfinished, text, files, folder):
    """Writes the yaml file of a model whose Python files are in a folder."""
    if files:
        text = FOLDER.format(folder=json.dumps(str(folder.resolve()))) + text
    path = unfinished / "hyperparams.yaml"
    path.write_text(HEADER + text, encoding="utf-8")


def derive_yaml(training, values, single_label=False):
    """Derives the yaml file of a trained model from that of its training.

    Arguments
    ---------
    training : str
        The yaml file of the training as SpeechBrain saves it, with references
        resolved. It has the keys ``modules``, ``checkpointer`` and
        ``sample_rate``.
    values : dict
        What was loaded from it. Numbers and strings replace the functions that
        returned them, which may need the data of the training.
    single_label : bool
        Whether a clip has exactly one label.

    Returns
    -------
    text : str
        The yaml file for inference.
    weights : list of str
        Names of the recoverables of the checkpointer that it loads.

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
    >>> text, weights = derive_yaml(training, {"lr": 0.1, "n_classes": 2})
    >>> print(text.partition("audio_normalizer")[0].rstrip())
    sample_rate: 8000
    <BLANKLINE>
    n_classes: 2
    <BLANKLINE>
    same: !new:torch.nn.Identity
    <BLANKLINE>
    layer: !new:torch.nn.Linear [8, !ref <n_classes>]
    <BLANKLINE>
    modules:
        compute_features: !ref <same>
        mean_var_norm: !ref <same>
        embedding_model: !ref <same>
        classifier: !new:torch.nn.Sequential
            - !ref <layer>
            - !new:torch.nn.LogSigmoid
    >>> weights
    ['classifier']
    """
    nodes = _read_mapping(_parse(training))
    names = {}  # A reference is the same node as what it refers to
    for name, node in nodes.items():
        names.setdefault(id(node), name)
        if node.tag.startswith("!apply:"):
            if isinstance(values.get(name), (int, float, str)):
                nodes[name] = _parse(json.dumps(values[name]))
    needed = {"sample_rate"}

    def refer(node):
        """A reference to a node with a name, or a node without inner names."""
        name = names.get(id(node))
        if name is not None:
            if name not in needed:
                needed.add(name)
                replace_parts(nodes[name])
            return ScalarNode("!ref", f"<{name}>")
        if node.tag == "tag:yaml.org,2002:null":
            node.value = "null"  # instead of nothing
        replace_parts(node)
        return node

    def replace_parts(node):
        """Replaces the parts of a node that have names by references."""
        if isinstance(node, MappingNode):
            node.value = [(key, refer(part)) for key, part in node.value]
        elif isinstance(node, SequenceNode):
            node.value = [refer(part) for part in node.value]

    modules = _read_mapping(nodes["modules"])
    modules = {name: refer(modules[name]) for name in MODULES}
    log = "LogSoftmax {dim: -1}" if single_label else "LogSigmoid"
    modules["classifier"] = SequenceNode(
        "!new:torch.nn.Sequential",
        [modules["classifier"], _parse(f"!new:torch.nn.{log}")],
        flow_style=False,
    )
    recoverables = _read_mapping(nodes["checkpointer"])["recoverables"]
    weights = {
        name: names[id(node)]
        for name, node in _read_mapping(recoverables).items()
        if names.get(id(node)) in needed
    }
    inference = INFERENCE.format(sample_rate=nodes["sample_rate"].value)
    for name, key in weights.items():
        inference += f"        {name}: !ref <{key}>\n"
    kept = {name: node for name, node in nodes.items() if name in needed}
    content = {
        **kept,
        "modules": _make_mapping(modules),
        **_read_mapping(_parse(inference)),
    }
    # An empty line before each key
    text = re.sub(r"\n+(?=\w)", "\n\n", _dump(_make_mapping(content)))
    return text, list(weights)


def _yaml():
    """A reader or writer of yaml without its objects, of a single use."""
    yaml = YAML(typ="safe", pure=True)
    yaml.indent(mapping=4, sequence=6, offset=4)
    return yaml


def _parse(text):
    """The node of a yaml text."""
    return _yaml().compose(text)


def _dump(node):
    """The yaml text of a node."""
    stream = io.StringIO()
    _yaml().serialize(node, stream)
    return stream.getvalue()


def _read_mapping(node):
    """The nodes in a mapping, by key."""
    return {key.value: part for key, part in node.value}


def _make_mapping(nodes):
    """A mapping of nodes."""
    pairs = [
        (ScalarNode("tag:yaml.org,2002:str", key), node)
        for key, node in nodes.items()
    ]
    return MappingNode("tag:yaml.org,2002:map", pairs, flow_style=False)


def _find_files(text):
    """The Python files that a yaml file needs and that are not installed.

    These are beside the yaml file of the training, as is what they import.
    """
    files = set()
    for name in set(re.findall(r"!\w+:(\w+)\.", text)):
        module = sys.modules[name]
        if hasattr(module, "__path__") or name in sys.stdlib_module_names:
            continue  # a package of several files, or of Python
        path = Path(module.__file__)
        if {"site-packages", "dist-packages"} & set(path.parts):
            continue
        finder = ModuleFinder(path=[str(path.parent)])
        finder.import_hook(name)
        for module in finder.modules.values():
            # There is no file of a module such as sys
            if module.__file__ and Path(module.__file__).parent == path.parent:
                files.add(module.__file__)
    return sorted(files)


@torch.no_grad()
def _compare(folder, modules, wavs, single_label):
    """Loads a folder, and compares it with the trained modules.

    Returns what is wrong, and its remedy, or None.
    """
    modules = {
        name: copy.deepcopy(modules[name]).float().cpu().eval()
        for name in MODULES
    }
    feats, lens = extract_features(modules, wavs)
    embeddings = modules["embedding_model"](feats, lens)
    logits = classify(modules["classifier"], embeddings)
    log_probs = torch.nn.functional.logsigmoid(logits)
    if single_label:
        log_probs = logits.log_softmax(-1)
    with tempfile.TemporaryDirectory() as temporary:
        files = [Path(temporary, name) for name in ("clip.pt", "outputs.pt")]
        torch.save(wavs, files[0])
        done = subprocess.run(
            [sys.executable, "-B", "-c", CLASSIFY, *files],
            cwd=folder,
            capture_output=True,
            text=True,
        )
        if done.returncode != 0:
            reason = done.stderr.strip().rpartition("\n")[2]
            return (
                f"SpeechBrain's EncoderClassifier cannot load it ({reason}): "
                "what the yaml file of the training names must be installed, "
                "or in a Python file beside it"
            )
        found = torch.load(files[1])
    expected = {
        "compute_features or mean_var_norm": feats,
        "embedding_model": embeddings,
        "classifier": log_probs,
    }
    for name, outputs in zip(expected, found):
        if outputs.shape != expected[name].shape or not torch.allclose(
            outputs, expected[name], rtol=1e-3, atol=1e-3
        ):
            return (
                f"{name}, loaded by SpeechBrain's EncoderClassifier, is not "
                "the trained one: what it learns must be in recoverables of "
                "the checkpointer, and its Python file as in the training"
            )
    return None
