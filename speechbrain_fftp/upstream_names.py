"""This package's modules that go to SpeechBrain, and their names there.

``register`` makes them importable under these names; ``tools/upstream.py``
copies them.

Authors
 * The speechbrain_fftp authors 2026
"""

import importlib
import sys

# The modules of each pull request, in the order of the series
MODULES = {
    "kaldi-fbank": ("lobes.features",),
    "mixup": ("augment.mixup",),
    "multi-label-stats": ("utils.metric_stats",),
    "warmup-cosine": ("nnet.schedulers",),
    "inference-folder": ("utils.inference_folder",),
    "specmask": ("augment.specmask",),
    "fftp": (
        "nnet.patching",
        "nnet.position",
        "nnet.tokens",
        "lobes.models.AST",
    ),
    "selective-scan": (
        "nnet.selective_scan",
        "nnet.selective_scan.mamba_ssm_backend",
        "nnet.selective_scan.torch_backend",
    ),
    "aum": ("nnet.convolution", "nnet.mamba", "lobes.models.AuM"),
    "audioset": ("lobes.tagger",),
    "tagger": ("inference.tagging",),
}

# Modules that are appended to modules of SpeechBrain, and their names there
MERGED = {
    "augment.specmask": "augment.freq_domain",
    "lobes.features": "lobes.features",
    "nnet.schedulers": "nnet.schedulers",
    "utils.metric_stats": "utils.metric_stats",
}


def register():
    """Makes the modules importable under their future names in SpeechBrain.

    Yaml files and scripts written for SpeechBrain with this package merged into
    it then work with the plugin alone.
    """
    names = [name for part in MODULES.values() for name in part]
    for name in names:
        module = importlib.import_module(f"speechbrain_fftp.{name}")
        there = f"speechbrain.{MERGED.get(name, name)}"
        if name in MERGED:
            theirs = importlib.import_module(there)
            for key, value in vars(module).items():
                if getattr(value, "__module__", None) == module.__name__:
                    setattr(theirs, key, value)
        else:
            _add_module(there, module)


def _add_module(name, module):
    """Makes a module importable under a name, as part of its parent."""
    sys.modules[name] = module
    parent, _, child = name.rpartition(".")
    setattr(importlib.import_module(parent), child, module)
