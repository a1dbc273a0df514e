"""AudioTagger with the models that this package reads, and with a score.

Authors
 * The speechbrain_fftp authors 2026
"""

import functools
from pathlib import Path

import ruamel.yaml
import torch
import yaml

from speechbrain.utils.logger import get_logger
from speechbrain_fftp.inference import tagging
from speechbrain_fftp.inference.evaluation import evaluate
from speechbrain_fftp.inference.published import load_model
from speechbrain_fftp.inference.thresholds import read_thresholds
from speechbrain_fftp.pretrained.hub import find_model
from speechbrain_fftp.pretrained.tensors import LOADING_ERRORS, read_json_file

logger = get_logger(__name__)

# For damaged yaml and label files
YAML_ERRORS = (SyntaxError, yaml.YAMLError, ruamel.yaml.YAMLError)


class AudioTagger(tagging.AudioTagger):
    """Adds ``from_pretrained``, which executes no code, and ``evaluate``."""

    @classmethod
    def from_hparams(cls, source, *args, **kwargs):
        """Loads a model from its yaml, see ``Pretrained.from_hparams``.

        Thresholds and the moving average of events are those that
        ``from_pretrained`` reads. What cannot be loaded is a FileNotFoundError
        or a ValueError.
        """
        try:
            tagger = super().from_hparams(source, *args, **kwargs)
            folder, head = Path(str(source)), tagger.mods.classifier
            if tagger.has_frames and (folder / "config.json").is_file():
                about = read_json_file(folder / "config.json")["classifier"]
                head.mean_seconds = about.get("mean_seconds", 0.0)
            tagger.hparams.thresholds = read_thresholds(folder, tagger.labels)
            return tagger
        except FileNotFoundError:
            raise
        except (OSError, *LOADING_ERRORS, *YAML_ERRORS) as error:
            raise ValueError(
                f"The model in {source} cannot be loaded. "
                f"{type(error).__name__}: {error}"
            ) from error

    @classmethod
    def from_pretrained(cls, source, device="cpu", precision="fp32", **options):
        """Loads a model without executing code from its folder.

        ``source`` is an inference folder, as training writes it; a published
        AST or CED in Hugging Face's form, on disk or as
        ``owner/name[@revision]`` on the hub; or the authors' ``.pth`` file of
        an AST or an Audio Mamba. ``device`` is cpu, cuda:0, ...; ``precision``
        is fp32 or bf16, with a warning on CPUs that do not support it, since it
        is slower there. Options are ``packed``, ``threads``, ``stride`` and
        ``cuda_graphs``, see ``TaggingModel``. What cannot be used is an OSError
        or a ValueError.
        """
        if precision not in ("fp32", "bf16"):
            raise ValueError(f"precision is {precision!r}, not fp32 or bf16")
        modules, hparams = load_model(find_model(source))
        try:
            opts = {"device": str(torch.device(device)), "precision": precision}
            tagger = cls(modules, hparams, opts, **options)
        except LOADING_ERRORS as error:
            raise ValueError(
                f"The model in {source} cannot run on {device}. "
                f"{type(error).__name__}: {error}"
            ) from error
        on_cpu = precision == "bf16" and tagger.device == "cpu"
        if on_cpu and not (
            torch.cpu._is_avx512_bf16_supported()
            or torch.cpu._is_amx_tile_supported()
        ):
            logger.warning(
                "This CPU does not support bfloat16 (AVX512-BF16 or AMX): "
                "precision='fp32' is faster."
            )
        return tagger

    def evaluate(
        self, data_folder, split="eval", window=None, hop=None, **options
    ):
        """Scores the model on labelled clips; returns an ``Evaluation``.

        ``data_folder`` is one that a recipe has prepared, or AudioSet or custom
        data; ``split`` is ``train``, ``valid`` or ``eval``. With ``window`` or
        ``hop``, see ``check_window``, the probability of a label is its maximum
        over windows; by default, as ``tag_file``.

        Options are ``progress``, ``num_workers`` and, for data that are not
        prepared, ``allow_missing``, the fraction of AudioSet's clips that may
        be missing (default: 0.2), and the recipe's ``unbalanced``,
        ``test_fold`` and ``cut_segments``.
        """
        default = window is None and hop is None
        grids = [] if default else [self.check_window(window, hop)]
        read = functools.partial(self._windows, grids=grids)
        return evaluate(self, read, data_folder, split, **options)
