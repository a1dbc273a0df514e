"""Lines that the export adds to files of SpeechBrain that list its parts.

They belong to the parts of the series, see ``upstream_parts``.

Authors
 * The speechbrain_fftp authors 2026
"""

ESC50_README = "recipes/ESC50/classification/README.md"
COMMANDS_README = "recipes/Google-speech-commands/README.md"

# The part of the series that adds them, the file, the lines, and what the next
# line starts with (nothing: the end of the file). SpeechBrain's API pages are
# built from the docstrings.
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

This script trains [Audio Mamba](https://arxiv.org/abs/2406.03344) with full-frequency temporal patches and SpecMask ([FFTP](https://arxiv.org/abs/2508.21243)) from scratch on the ESC50 dataset. On a GPU it is fastest with `triton`, which PyTorch for Linux brings, or `mamba-ssm`. To run this, you can use the command:

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
        "kaldi",
        COMMANDS_README,
        """\
# for AST on the filterbanks of published ASTs
python train.py hparams/ast_fftp_kaldi.yaml --data_folder=/path_to_/GSC --number_of_commands=35 --percentage_unknown=0 --percentage_silence=0 (v35 task)
""",
        "# for leaf",
    ),
    (
        "kaldi",
        COMMANDS_README,
        "| AST-FFTP + SpecMask v35, Kaldi's filterbanks | - |",
        "| xvector + augment + LEAF v35 |",
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
)
