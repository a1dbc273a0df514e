"""What goes to SpeechBrain beside the modules, and in which pull requests.

Each part of the series is small enough for a review and stands on those before
it. Its title and description are in ``tools/pull_requests``.

Authors
 * The speechbrain_fftp authors 2026
"""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

# Recipe folder here: its folder in SpeechBrain, and its yaml folder here. Rows
# of recipes go to tests/recipes/<second part of that path>.csv.
RECIPES = {
    "recipes/AudioSet": ("recipes/AudioSet/Tagging", "hparams"),
    "recipes/SpeechCommands": (
        "recipes/Google-speech-commands/FFTP",
        "hparams/speechcommands",
    ),
}

# Yaml files for recipes that SpeechBrain has, in folders of the same names.
STOCK = "hparams/stock"

# Unit tests that need only SpeechBrain and its development tools. SpeechBrain
# has one flat folder of tests: each is named after the module that it tests.
UNIT_TESTS = (
    "augment/test_mixup.py",
    "augment/test_specmask.py",
    "augment/test_waveform.py",
    "inference/test_audio_tagger.py",
    "inference/test_events.py",
    "lobes/test_AST.py",
    "lobes/test_AuM.py",
    "lobes/test_ConvNeXt1d.py",
    "lobes/test_features.py",
    "lobes/test_frame_classifier.py",
    "lobes/test_tagger.py",
    "nnet/test_mamba.py",
    "nnet/test_patching.py",
    "nnet/test_position.py",
    "nnet/test_schedulers.py",
    "nnet/test_selective_scan.py",
    "nnet/test_tokens.py",
)

# Those of integrations, which SpeechBrain runs before a release.
INTEGRATION_TESTS = {
    "nnet/test_selective_scan_triton.py": "test_triton_scan.py",
    "nnet/test_triton_convolution.py": "test_triton_convolution.py",
}

# What each part brings; it comes after those above it.
PARTS = {
    "fftp": (
        "speechbrain_fftp/nnet/patching.py",
        "speechbrain_fftp/nnet/position.py",
        "speechbrain_fftp/nnet/tokens.py",
        "speechbrain_fftp/lobes/models/AST.py",
        "speechbrain_fftp/augment/specmask.py",
        "tests/unit/nnet/test_patching.py",
        "tests/unit/nnet/test_position.py",
        "tests/unit/lobes/test_AST.py",
        "tests/unit/augment/test_specmask.py",
        "hparams/stock/ESC50/classification/ast_fftp.yaml",
        "hparams/stock/Google-speech-commands/ast_fftp.yaml",
    ),
    "aum": (
        "speechbrain_fftp/nnet/selective_scan/__init__.py",
        "speechbrain_fftp/nnet/selective_scan/convolution.py",
        "speechbrain_fftp/nnet/selective_scan/torch_backend.py",
        "speechbrain_fftp/nnet/selective_scan/torch_blocks.py",
        "speechbrain_fftp/nnet/selective_scan/triton_backend.py",
        "speechbrain_fftp/nnet/selective_scan/triton_convolution.py",
        "speechbrain_fftp/nnet/selective_scan/triton_gradient.py",
        "speechbrain_fftp/nnet/selective_scan/triton_kernels.py",
        "speechbrain_fftp/nnet/mamba.py",
        "speechbrain_fftp/lobes/models/AuM.py",
        "tests/unit/nnet/test_selective_scan.py",
        "tests/unit/nnet/test_selective_scan_triton.py",
        "tests/unit/nnet/test_triton_convolution.py",
        "tests/unit/nnet/test_mamba.py",
        "tests/unit/nnet/test_tokens.py",
        "tests/unit/lobes/test_AuM.py",
        "hparams/stock/ESC50/classification/aum_fftp.yaml",
        "hparams/stock/Google-speech-commands/aum_fftp.yaml",
    ),
    "inference": (
        "speechbrain_fftp/dataio/audio.py",
        "speechbrain_fftp/dataio/ffmpeg.py",
        "speechbrain_fftp/lobes/features.py",
        "speechbrain_fftp/lobes/frame_classifier.py",
        "speechbrain_fftp/lobes/tagger.py",
        "speechbrain_fftp/inference/tagging.py",
        "speechbrain_fftp/inference/model.py",
        "speechbrain_fftp/inference/clip_sizes.py",
        "speechbrain_fftp/inference/events.py",
        "speechbrain_fftp/inference/frames.py",
        "speechbrain_fftp/inference/many_files.py",
        "speechbrain_fftp/inference/packed_linear.py",
        "speechbrain_fftp/inference/windows.py",
        "tests/unit/inference/test_audio_tagger.py",
        "tests/unit/inference/test_events.py",
        "tests/unit/lobes/test_features.py",
        "tests/unit/lobes/test_frame_classifier.py",
        "tests/unit/lobes/test_tagger.py",
        "hparams/stock/Google-speech-commands/ast_fftp_kaldi.yaml",
    ),
    "convnext": (
        "speechbrain_fftp/lobes/models/ConvNeXt1d.py",
        "tests/unit/lobes/test_ConvNeXt1d.py",
        "hparams/stock/Google-speech-commands/convnext_fftp.yaml",
    ),
}

# Most files that are new or changed, and most lines that are new.
LIMITS = {"fftp": (15, 2_600)}
LIMIT = 24, 4_700

ESC50_README = "recipes/ESC50/classification/README.md"
COMMANDS_README = "recipes/Google-speech-commands/README.md"

# Lines for files that list SpeechBrain's parts: the part of the series that
# adds them (None: no part yet), the file, the lines, and what the next line
# starts with. (SpeechBrain's API pages are built from the docstrings.)
LISTS = (
    (
        "fftp",
        ESC50_README,
        """\
### AST with full-frequency temporal patches

This script trains an Audio Spectrogram Transformer with full-frequency temporal patches and SpecMask ([FFTP](https://arxiv.org/abs/2508.21243)) from scratch on the ESC50 dataset. To run this, you can use the command:

```shell
python train.py hparams/ast_fftp.yaml --data_folder /yourpath/ESC50
```

---------------------------------------------------------------------------------------------------------
""",
        "### To train with WHAM! noise",
    ),
    (
        "fftp",
        ESC50_README,
        "|  ast_fftp.yaml   |      -       |         -          | - | - |      -      |",
        "|     vit.yaml     |",
    ),
    (
        "fftp",
        ESC50_README,
        """\
```bibtex
@article{makineni2025fftp,
  title={Full-Frequency Temporal Patching and Structured Masking for Enhanced Audio Classification},
  author={Makineni, Aditya and Geng, Baocheng and Tian, Qing},
  journal={arXiv preprint arXiv:2508.21243},
  year={2025}
}
@inproceedings{gong2021ast,
  title={{AST}: Audio Spectrogram Transformer},
  author={Gong, Yuan and Chung, Yu-An and Glass, James},
  booktitle={Interspeech},
  year={2021}
}
```
""",
        "If you use **SpeechBrain**, please cite:",
    ),
    (
        "fftp",
        COMMANDS_README,
        """\
# for AST with full-frequency temporal patches (https://arxiv.org/abs/2508.21243)
python train.py hparams/ast_fftp.yaml --data_folder=/path_to_/GSC --number_of_commands=35 --percentage_unknown=0 --percentage_silence=0 (v35 task)
""",
        "# for leaf",
    ),
    (
        "fftp",
        COMMANDS_README,
        "| AST-FFTP + SpecMask v35 | - |",
        "| xvector + augment + LEAF v35 |",
    ),
    (
        "aum",
        ESC50_README,
        """\
### Audio Mamba

This script trains [Audio Mamba](https://arxiv.org/abs/2406.03344) with full-frequency temporal patches and SpecMask ([FFTP](https://arxiv.org/abs/2508.21243)) from scratch on the ESC50 dataset. A GPU needs `triton`, which PyTorch for Linux brings, or `mamba-ssm`. To run this, you can use the command:

```shell
python train.py hparams/aum_fftp.yaml --data_folder /yourpath/ESC50
```

---------------------------------------------------------------------------------------------------------
""",
        "### To train with WHAM! noise",
    ),
    (
        "aum",
        ESC50_README,
        "|  aum_fftp.yaml   |      -       |         -          | - | - |      -      |",
        "|     vit.yaml     |",
    ),
    (
        "aum",
        ESC50_README,
        """\
```bibtex
@article{erol2024aum,
  title={Audio Mamba: Bidirectional State Space Model for Audio Representation Learning},
  author={Erol, Mehmet Hamza and Senocak, Arda and Feng, Jiu and Chung, Joon Son},
  journal={IEEE Signal Processing Letters},
  year={2024}
}
```
""",
        "If you use **SpeechBrain**, please cite:",
    ),
    (
        "aum",
        COMMANDS_README,
        """\
# for Audio Mamba (https://arxiv.org/abs/2406.03344)
python train.py hparams/aum_fftp.yaml --data_folder=/path_to_/GSC --number_of_commands=35 --percentage_unknown=0 --percentage_silence=0 (v35 task)
""",
        "# for leaf",
    ),
    (
        "aum",
        COMMANDS_README,
        "| AuM-FFTP + SpecMask v35 | - |",
        "| xvector + augment + LEAF v35 |",
    ),
    (
        "inference",
        COMMANDS_README,
        """\
# for the front end of published ASTs, with which AudioTagger reads files
python train.py hparams/ast_fftp_kaldi.yaml --data_folder=/path_to_/GSC --number_of_commands=35 --percentage_unknown=0 --percentage_silence=0 (v35 task)
""",
        "# for leaf",
    ),
    (
        "inference",
        COMMANDS_README,
        "| AST-FFTP + SpecMask v35, Kaldi's filterbanks | - |",
        "| xvector + augment + LEAF v35 |",
    ),
    (
        "inference",
        "speechbrain/inference/__init__.py",
        "from .tagging import *  # noqa",
        "from .text import *",
    ),
    (
        "convnext",
        COMMANDS_README,
        """\
# for convolutions over full-frequency temporal patches (https://arxiv.org/abs/2508.21243)
python train.py hparams/convnext_fftp.yaml --data_folder=/path_to_/GSC --number_of_commands=35 --percentage_unknown=0 --percentage_silence=0 (v35 task)
""",
        "# for leaf",
    ),
    (
        "convnext",
        COMMANDS_README,
        "| ConvNeXt1d-FFTP v35 | - |",
        "| xvector + augment + LEAF v35 |",
    ),
    (
        None,
        "README.md",
        "| Audio Tagging | [AudioSet](recipes/AudioSet) |"
        " [AST](https://arxiv.org/abs/2104.01778),"
        " [Audio Mamba](https://arxiv.org/abs/2406.03344),"
        " [FFTP and SpecMask](https://arxiv.org/abs/2508.21243) |",
        "| Self-Supervised Learning |",
    ),
    (
        None,
        "speechbrain/inference/__init__.py",
        "from .loading import *  # noqa",
        "from .text import *",
    ),
)


def pull_request(part, new, added):
    """The text of a part's pull request: title, description and files.

    ``new`` and ``added`` are the lines of new files and those added to
    others, by path.
    """
    text = (ROOT / "tools" / "pull_requests" / f"{part}.md").read_text("utf-8")
    text = re.sub(r"<!-- table (\S+): (.+) -->", _table, text)
    most = LIMITS.get(part, LIMIT)
    rows = [f"| `{path}` | {count} |" for path, count in new.items()]
    rows += [
        f"| `{path}` (changed) | {count} |" for path, count in added.items()
    ]
    return (
        f"{text}\n## Files\n\n"
        f"{len(new)} new files, {len(added)} changed, "
        f"{sum(new.values()) + sum(added.values()):,} new lines "
        f"(limits: {most[0]} files, {most[1]:,} lines).\n\n"
        "| file | new lines |\n| --- | --- |\n" + "\n".join(rows) + "\n"
    )


def _table(match):
    """The first table after a line of a file in Markdown."""
    path, start = match.groups()
    text = (ROOT / path).read_text("utf-8")
    text = f"\n{text}".partition(f"\n{start}\n")[2]
    return re.search(r"(?m)(?:^\|.*\n)+", text).group().rstrip("\n")
