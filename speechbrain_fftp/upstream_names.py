"""The names that this package's modules have once merged into SpeechBrain.

``speechbrain_fftp.register`` makes all modules importable under these names;
``tools/upstream.py`` copies those that are proposed to SpeechBrain under them.
A module keeps its path, with ``speechbrain`` in place of ``speechbrain_fftp``,
unless a table below says otherwise; a package there stands for all in it. What
is added to a module of SpeechBrain is registered there as well.

Authors
 * The speechbrain_fftp authors 2026
"""

import importlib
import importlib.abc
import importlib.util
import sys
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent

# Without a name there: the command line (SpeechBrain installs no commands),
# what only the command line uses, and this module.
PLUGIN_ONLY = ("cli", "inference.onnx", "inference.plots", "upstream_names")

# What goes to the end of a module that SpeechBrain has already.
MERGED = {
    "augment.specmask": "augment.freq_domain",
    "lobes.features": "lobes.features",
    "nnet.schedulers": "nnet.schedulers",
}

# Renamed, because SpeechBrain keeps modules that import optional packages in
# ``integrations``, or has a package of that name.
RENAMED = {
    "nnet.selective_scan.triton_backend": "integrations.triton.selective_scan",
    "nnet.selective_scan.triton_kernels": "integrations.triton.scan_kernels",
    "nnet.selective_scan.triton_gradient": "integrations.triton.scan_gradient",
    "pretrained": "utils.pretrained_encoders",
}

# Packages that neither SpeechBrain nor this package has, with their docstrings.
NEW_PACKAGES = {"speechbrain.integrations.triton": "GPU kernels in Triton."}


def module_names():
    """Maps names in SpeechBrain to names here, those of packages included."""
    names = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        here = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        here = here.removesuffix("__init__").removesuffix(".")
        parts = here.split(".")
        ends = range(len(parts), 0, -1)
        parents = [".".join(parts[:end]) for end in ends]  # longest first
        if not here or any(name in PLUGIN_ONLY for name in parents):
            continue
        if MERGED.get(here) == here:  # SpeechBrain has a module of that name
            continue
        old = next((name for name in parents if name in RENAMED), "")
        there = RENAMED.get(old, "") + here[len(old) :]
        names[f"speechbrain.{there}"] = f"speechbrain_fftp.{here}"
    return names


class UpstreamFinder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds modules of this package under their names in SpeechBrain.

    At the end of ``sys.meta_path`` it is asked only for what SpeechBrain lacks.
    A module is the same object under both names; a package is a copy.
    """

    def __init__(self):
        self.names = module_names()

    def find_spec(self, fullname, path=None, target=None):
        """The spec of a module, or None if it is not in this package."""
        if fullname in NEW_PACKAGES:
            is_package = True
        elif fullname in self.names:
            parts = self.names[fullname].split(".")[1:]
            is_package = PACKAGE.joinpath(*parts).is_dir()
        else:
            return None
        spec = importlib.util.spec_from_loader
        return spec(fullname, self, is_package=is_package)

    def exec_module(self, module):
        """Fills a package, or replaces a module by the one of this package."""
        name = module.__name__
        if name in NEW_PACKAGES:
            return
        here = importlib.import_module(self.names[name])
        if hasattr(here, "__path__"):
            # Not the package itself: with its path, Python would load its
            # modules a second time, under their names in SpeechBrain.
            public = {k: v for k, v in vars(here).items() if k[:2] != "__"}
            vars(module).update(public)
        else:
            sys.modules[name] = here


def register():
    """Makes the modules importable under their future names in SpeechBrain.

    Yaml files and scripts written for SpeechBrain with this package merged into
    it then work with the plugin alone. SpeechBrain's own modules come first.
    """
    if any(isinstance(f, UpstreamFinder) for f in sys.meta_path):
        return
    sys.meta_path.append(UpstreamFinder())
    for here, there in MERGED.items():
        module = importlib.import_module(f"speechbrain.{there}")
        ours = importlib.import_module(f"speechbrain_fftp.{here}")
        for name, value in vars(ours).items():
            is_ours = getattr(value, "__module__", None) == ours.__name__
            if is_ours and not hasattr(module, name):
                setattr(module, name, value)
