"""The files of each pull request for SpeechBrain.

Each part of the series is small enough for a review and builds on the parts
before it. Its title and description are in ``tools/pull_requests``, with a
patch if it changes existing files. Its modules are in
``speechbrain_fftp.upstream_names``, since ``register`` needs them as well.

Authors
 * The speechbrain_fftp authors 2026
"""

from pathlib import Path

from speechbrain_fftp.upstream_names import MERGED, MODULES

ROOT = Path(__file__).resolve().parents[1]

# The files of each part besides modules, in the order of the series: repairs,
# what needs no result, and what waits for one
OTHER_FILES = {
    "max-grad-norm": ("tests/speechbrain/test_max_grad_norm.py",),
    "sync-batch-norm": ("tests/speechbrain/test_sync_batch_norm.py",),
    "checkpoints": ("tests/speechbrain/test_interrupted_checkpoint.py",),
    "spectrogram-drop": ("tests/speechbrain/test_spectrogram_drop.py",),
    "parallel-map": ("tests/speechbrain/test_parallel_pytorch.py",),
    "gsc-paths": (),
    "gsc-lengths": (),
    "kaldi-fbank": ("tests/speechbrain/test_kaldi_features.py",),
    "mixup": ("tests/speechbrain/test_mixup.py",),
    "multi-label-stats": ("tests/speechbrain/test_multi_label_stats.py",),
    "warmup-cosine": ("tests/speechbrain/test_warmup_cosine.py",),
    "inference-folder": ("tests/speechbrain/test_inference_folder.py",),
    "specmask": ("tests/speechbrain/test_specmask.py",),
    "fftp": (
        "tests/speechbrain/test_AST.py",
        "tests/speechbrain/test_patching.py",
        "hparams/stock/Google-speech-commands/ast_fftp.yaml",
    ),
    "selective-scan": ("tests/speechbrain/test_selective_scan.py",),
    "aum": (
        "tests/speechbrain/test_AuM.py",
        "hparams/stock/Google-speech-commands/aum_fftp.yaml",
    ),
    "audioset": (
        "recipes/AudioSet/audioset_prepare.py",
        "recipes/AudioSet/train.py",
        "tests/speechbrain/test_tagger.py",
        "tools/upstream_files/recipes/AudioSet/Tagging/README.md",
        "tools/upstream_files/recipes/AudioSet/Tagging/hparams/ast_fftp.yaml",
        "tools/upstream_files/recipes/AudioSet/Tagging/hparams/aum_fftp.yaml",
        "tools/upstream_files/tests/recipes/AudioSet.csv",
        "tools/upstream_files/tests/samples/AudioSet/balanced_train_segments.csv",
        "tools/upstream_files/tests/samples/AudioSet/class_labels_indices.csv",
        "tools/upstream_files/tests/samples/AudioSet/eval_segments.csv",
    ),
    "tagger": ("tests/speechbrain/test_tagging_interface.py",),
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
# No one has asked for it yet
ON_REQUEST = ("tagger",)


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
    "tests/speechbrain/": "tests/unittests/",
    "tools/upstream_files/": "",
    "recipes/AudioSet/": "recipes/AudioSet/Tagging/",
    "hparams/stock/Google-speech-commands/": "recipes/Google-speech-commands/hparams/",
}


def upstream_path(here):
    """The path in SpeechBrain of a file of this project.

    Example
    -------
    >>> upstream_path("speechbrain_fftp/augment/specmask.py")
    'speechbrain/augment/freq_domain.py'
    >>> upstream_path("hparams/stock/Google-speech-commands/ast_fftp.yaml")
    'recipes/Google-speech-commands/hparams/ast_fftp.yaml'
    """
    for old, new in MERGED.items():
        if here == module_path(old):
            return f"speechbrain/{new.replace('.', '/')}.py"
    folder = next(folder for folder in FOLDERS if here.startswith(folder))
    return FOLDERS[folder] + here.removeprefix(folder)
