"""The files of each pull request for SpeechBrain.

Each part of the series is small enough for a review and builds on the parts
before it. Its title and description are in ``tools/pull_requests``, with a
patch if it changes existing files. Its modules are in
``speechbrain_fftp.upstream_names``, since ``register`` needs them as well.

Authors
 * The speechbrain_fftp authors 2026
"""

from pathlib import Path

from speechbrain_fftp.upstream_names import MODULES, RENAMED

ROOT = Path(__file__).resolve().parents[1]

# The files of each part besides modules, in the order of the series: repairs,
# what needs no result, and what waits for one
OTHER_FILES = {
    "max-grad-norm": ("tests/speechbrain/test_max_grad_norm.py",),
    "sync-batch-norm": ("tests/speechbrain/test_sync_batch_norm.py",),
    "checkpoints": ("tests/speechbrain/test_interrupted_checkpoint.py",),
    "spectrogram-drop": ("tests/speechbrain/test_spectrogram_drop.py",),
    "parallel-map": ("tests/speechbrain/test_parallel_pytorch.py",),
    "gsc-paths": ("tests/speechbrain/test_gsc_recipe.py",),
    "gsc-lengths": ("tests/speechbrain/test_gsc_lengths.py",),
    "kaldi-fbank": ("tests/speechbrain/test_kaldi_features.py",),
    "multi-label": (
        "tests/speechbrain/test_mixup.py",
        "tests/speechbrain/test_multi_label_stats.py",
        "tests/speechbrain/test_warmup_cosine.py",
    ),
    "inference-folder": ("tests/speechbrain/test_inference_folder.py",),
    "fftp": (
        "tests/speechbrain/test_AST.py",
        "tests/speechbrain/test_patching.py",
        "hparams/stock/Google-speech-commands/ast_fftp.yaml",
    ),
    "specmask": (
        "tests/speechbrain/test_specmask.py",
        "hparams/stock/ESC50/classification/ast_fftp.yaml",
    ),
    "audioset": (
        "recipes/AudioSet/audioset_prepare.py",
        "recipes/AudioSet/train.py",
        "tests/speechbrain/test_audioset_recipe.py",
        "tests/speechbrain/test_tagger.py",
        "tools/upstream_files/recipes/AudioSet/Tagging/README.md",
        "tools/upstream_files/recipes/AudioSet/Tagging/hparams/ast_fftp.yaml",
        "tools/upstream_files/tests/recipes/AudioSet.csv",
        "tools/upstream_files/tests/samples/AudioSet/balanced_train_segments.csv",
        "tools/upstream_files/tests/samples/AudioSet/class_labels_indices.csv",
        "tools/upstream_files/tests/samples/AudioSet/eval_segments.csv",
    ),
    "tagger": ("tests/speechbrain/test_tagging_interface.py",),
    "convnext": (
        "tests/speechbrain/test_ConvNeXt1d.py",
        "hparams/stock/Google-speech-commands/convnext_fftp.yaml",
    ),
    "aum": (
        "tests/speechbrain/test_AuM.py",
        "tests/speechbrain/test_selective_scan.py",
        "hparams/stock/Google-speech-commands/aum_fftp.yaml",
    ),
    "aum-triton": (
        "tests/speechbrain/test_triton_scan.py",
        "tools/upstream_files/speechbrain/integrations/triton/README.md",
        "tools/upstream_files/speechbrain/integrations/triton/__init__.py",
    ),
}
# Exported by --part alone. Repairs that change lines of SpeechBrain's library are
# pull requests of their own, on which no other part builds
REPAIRS = (
    "max-grad-norm",
    "sync-batch-norm",
    "checkpoints",
    "spectrogram-drop",
    "parallel-map",
)
# No one has asked for these yet
ON_REQUEST = ("tagger", "convnext", "aum", "aum-triton")


def module_path(name):
    """The path of a module of this package.

    Example
    -------
    >>> module_path("nnet.patching")
    'speechbrain_fftp/nnet/patching.py'
    >>> module_path("nnet.selective_scan")
    'speechbrain_fftp/nnet/selective_scan/__init__.py'
    """
    path = f"speechbrain_fftp/{name.replace('.', '/')}"
    return f"{path}/__init__.py" if (ROOT / path).is_dir() else f"{path}.py"


# All files of each part
PARTS = {
    part: (*map(module_path, MODULES.get(part, ())), *others)
    for part, others in OTHER_FILES.items()
}

# Destinations of folders
FOLDERS = {
    "speechbrain_fftp/": "speechbrain/",
    "tests/speechbrain/test_triton": "speechbrain/integrations/tests/test_triton",
    "tests/speechbrain/": "tests/unittests/",
    "tools/upstream_files/": "",
    "recipes/AudioSet/": "recipes/AudioSet/Tagging/",
    "hparams/stock/ESC50/classification/": "recipes/ESC50/classification/hparams/",
    "hparams/stock/Google-speech-commands/": "recipes/Google-speech-commands/hparams/",
}


def upstream_path(here):
    """The path in SpeechBrain of a file of this project.

    Example
    -------
    >>> upstream_path("speechbrain_fftp/augment/specmask.py")
    'speechbrain/augment/freq_domain.py'
    >>> upstream_path("hparams/stock/ESC50/classification/ast_fftp.yaml")
    'recipes/ESC50/classification/hparams/ast_fftp.yaml'
    """
    for old, new in RENAMED.items():
        if here == module_path(old):
            return f"speechbrain/{new.replace('.', '/')}.py"
    folder = next(folder for folder in FOLDERS if here.startswith(folder))
    return FOLDERS[folder] + here.removeprefix(folder)
