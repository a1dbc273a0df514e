"""The names that this package's modules have in SpeechBrain itself.

``speechbrain_fftp.upstream`` copies the modules into SpeechBrain's source under
these names; ``speechbrain_fftp.register`` makes them importable under these
names at once. A module that is in none of the tables keeps its path, with
``speechbrain`` in place of ``speechbrain_fftp``.

Authors
 * The speechbrain_fftp authors 2026
"""

import importlib
import importlib.abc
import importlib.util
import sys
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent

# Modules that stay in this package: what connects it to SpeechBrain, and the
# command, as SpeechBrain installs none.
PLUGIN_ONLY = {
    "cli.main",
    "cli.output",
    "cli.page",
    "cli.run",
    "inference.onnx",
    "inference.plots",
    "upstream_names",
    "version",
}

# Modules with another name there: SpeechBrain has one of that name (for
# metrics, a test of that name), which the export must leave as it is, or keeps
# what needs further packages in integrations.
RENAMED = {
    "lobes.features": "lobes.kaldi_features",
    "nnet.schedulers": "nnet.warmup_cosine",
    "nnet.selective_scan.torch_backend": "nnet.selective_scan_torch",
    "nnet.selective_scan.torch_blocks": "nnet.selective_scan_torch_blocks",
    "nnet.selective_scan.triton_backend": "integrations.triton.selective_scan",
    "nnet.selective_scan.triton_kernels": "integrations.triton.selective_scan_kernels",
    "training.checkpoints": "utils.atomic_checkpoints",
    "utils.metrics": "utils.tagging_metrics",
    "utils.pretrained.ast": "utils.pretrained_ast",
    "utils.pretrained.tensors": "utils.weight_files",
    "utils.pretrained": "utils.pretrained_encoders",
}

# Packages whose __init__.py holds code, which are modules there.
MODULES = ("nnet.selective_scan", "utils.pretrained")

# Packages that SpeechBrain does not have yet, and what they are.
NEW_PACKAGES = {
    "speechbrain.datasets": "Preparation of data sets.",
    "speechbrain.datasets.audioset": "AudioSet.",
    "speechbrain.datasets.own_sounds": "Custom data.",
    "speechbrain.datasets.speech_commands": "Speech Commands.",
    "speechbrain.datasets.synthetic": "Generated data.",
    "speechbrain.integrations.triton": "GPU kernels in Triton.",
    "speechbrain.training": "What recipes share to train.",
}


def module_names():
    """Lists the modules that have a place in SpeechBrain.

    Returns
    -------
    dict of str
        The name there of each, to its name here.

    Example
    -------
    >>> module_names()["speechbrain.lobes.kaldi_features"]
    'speechbrain_fftp.lobes.features'
    >>> module_names()["speechbrain.augment.specmask"]
    'speechbrain_fftp.augment.specmask'
    """
    names = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        name = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        name = name.removesuffix(".__init__")
        is_module = path.stem != "__init__" or name in MODULES
        if is_module and name not in PLUGIN_ONLY:
            there = RENAMED.get(name, name)
            names[f"speechbrain.{there}"] = f"speechbrain_fftp.{name}"
    return names


class UpstreamFinder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds modules of this package under their names in SpeechBrain.

    At the end of ``sys.meta_path`` it is asked only for what SpeechBrain does
    not have. A module is the same object under both names.

    Example
    -------
    >>> finder = UpstreamFinder()
    >>> finder.find_spec("speechbrain.augment.specmask").name
    'speechbrain.augment.specmask'
    >>> finder.find_spec("speechbrain.augment.freq_domain") is None
    True
    """

    def __init__(self):
        self.names = module_names()

    def find_spec(self, fullname, path=None, target=None):
        """Tells the import system whether there is such a module.

        Arguments
        ---------
        fullname : str
            Name in SpeechBrain.
        path : list of str, optional
            Not used.
        target : module, optional
            Not used.

        Returns
        -------
        importlib.machinery.ModuleSpec or None
            None if it is no module of this package.
        """
        is_package = fullname in NEW_PACKAGES
        if not is_package and fullname not in self.names:
            return None
        return importlib.util.spec_from_loader(
            fullname, self, is_package=is_package
        )

    def exec_module(self, module):
        """Puts the module of this package in the place of an empty one.

        Arguments
        ---------
        module : module
            The empty one, with the name in SpeechBrain.
        """
        name = module.__name__
        if name in self.names:
            sys.modules[name] = importlib.import_module(self.names[name])


def register():
    """Makes the modules importable, see ``speechbrain_fftp.register``.

    Example
    -------
    >>> register()
    >>> importlib.import_module("speechbrain.augment.mixup").Mixup
    <class 'speechbrain_fftp.augment.mixup.Mixup'>
    """
    if not any(isinstance(f, UpstreamFinder) for f in sys.meta_path):
        sys.meta_path.append(UpstreamFinder())
