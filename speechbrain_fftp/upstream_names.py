"""Names that this package's modules will have once merged into SpeechBrain.

``tools/upstream.py`` copies modules under these names; ``register`` makes them
importable under these names.

Authors
 * The speechbrain_fftp authors 2026
"""

import importlib
import importlib.util
import sys
import types

# Appended to modules that SpeechBrain already has
MERGED = {
    "augment.specmask": "augment.freq_domain",
    "lobes.features": "lobes.features",
    "nnet.schedulers": "nnet.schedulers",
}

# SpeechBrain keeps modules that import optional packages in integrations
TRITON = {
    "nnet.selective_scan.triton_backend": "integrations.triton.selective_scan",
    "nnet.selective_scan.triton_gradient": "integrations.triton.scan_gradient",
    "nnet.selective_scan.triton_kernels": "integrations.triton.scan_kernels",
}

# Modules that keep their names
NEW = (
    "augment.mixup",
    "dataio.audio",
    "dataio.clips",
    "dataio.errors",
    "dataio.files",
    "dataio.packages",
    "dataio.prepared",
    "lobes.frame_classifier",
    "lobes.models.AST",
    "lobes.models.AuM",
    "lobes.models.ConvNeXt1d",
    "lobes.tagger",
    "nnet.convolution",
    "nnet.mamba",
    "nnet.patching",
    "nnet.position",
    "nnet.selective_scan",
    "nnet.selective_scan.mamba_ssm_backend",
    "nnet.selective_scan.torch_backend",
    "nnet.tokens",
    "utils.brain",
    "utils.complexity",
    "utils.tagging_metrics",
    "utils.throughput",
)


def register():
    """Makes the modules importable under their future names in SpeechBrain.

    Yaml files and scripts written for SpeechBrain with this package merged into
    it then work with the plugin alone.
    """
    names = {name: name for name in NEW}
    if importlib.util.find_spec("triton"):
        names = {**names, **TRITON}
        package = types.ModuleType("speechbrain.integrations.triton")
        sys.modules[package.__name__] = package
    for here, there in names.items():
        parent, _, name = f"speechbrain.{there}".rpartition(".")
        module = importlib.import_module(f"speechbrain_fftp.{here}")
        sys.modules[f"{parent}.{name}"] = module
        setattr(importlib.import_module(parent), name, module)
    for here, there in MERGED.items():
        ours = importlib.import_module(f"speechbrain_fftp.{here}")
        theirs = importlib.import_module(f"speechbrain.{there}")
        for name, value in vars(ours).items():
            if getattr(value, "__module__", None) == ours.__name__:
                setattr(theirs, name, value)
