"""This package's modules that go to SpeechBrain, and their names there.

``register`` makes them importable under these names; ``tools/upstream.py``
copies them.

Authors
 * The speechbrain_fftp authors 2026
"""

import importlib
import importlib.util
import sys
import types

# The modules of each pull request, in the order of the series
MODULES = {
    "kaldi-fbank": ("lobes.features",),
    "multi-label": (
        "augment.mixup",
        "nnet.schedulers",
        "utils.metric_stats",
    ),
    "inference-folder": ("utils.inference_folder",),
    "fftp": (
        "nnet.patching",
        "nnet.position",
        "nnet.tokens",
        "lobes.models.AST",
    ),
    "specmask": ("augment.specmask",),
    "audioset": ("lobes.tagger",),
    "tagger": ("inference.tagging",),
    "convnext": (
        "nnet.convolution",
        "nnet.normalization",
        "lobes.models.ConvNeXt1d",
    ),
    "aum": (
        "nnet.mamba",
        "nnet.selective_scan",
        "nnet.selective_scan.mamba_ssm_backend",
        "nnet.selective_scan.torch_backend",
        "lobes.models.AuM",
    ),
    "aum-triton": (
        "nnet.selective_scan.triton_backend",
        "nnet.selective_scan.triton_gradient",
        "nnet.selective_scan.triton_kernels",
    ),
}

# Modules that are appended to modules of SpeechBrain
MERGED = {
    "augment.specmask": "augment.freq_domain",
    "lobes.features": "lobes.features",
    "nnet.normalization": "nnet.normalization",
    "nnet.schedulers": "nnet.schedulers",
    "utils.metric_stats": "utils.metric_stats",
}

# SpeechBrain keeps modules that import optional packages in integrations
TRITON = {
    "nnet.selective_scan.triton_backend": "integrations.triton.selective_scan",
    "nnet.selective_scan.triton_gradient": "integrations.triton.scan_gradient",
    "nnet.selective_scan.triton_kernels": "integrations.triton.scan_kernels",
}

# Names in SpeechBrain that differ from those here
RENAMED = {**MERGED, **TRITON}


def register():
    """Makes the modules importable under their future names in SpeechBrain.

    Yaml files and scripts written for SpeechBrain with this package merged into
    it then work with the plugin alone.
    """
    names = [name for part in MODULES.values() for name in part]
    if importlib.util.find_spec("triton"):
        package = "speechbrain.integrations.triton"
        _add_module(package, types.ModuleType(package))
    else:
        names = [name for name in names if name not in TRITON]
    for name in names:
        module = importlib.import_module(f"speechbrain_fftp.{name}")
        there = f"speechbrain.{RENAMED.get(name, name)}"
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
