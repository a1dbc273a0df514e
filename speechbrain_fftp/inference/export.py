"""Turns a trained recipe into a folder that ``from_hparams`` loads.

Authors
 * The speechbrain_fftp authors 2026
"""

import io
import shutil
from pathlib import Path

import ruamel.yaml
import torch

HEADER = """\
# Audio tagging model. Load it with speechbrain_fftp.inference.AudioTagger or
# speechbrain.inference.classifiers.EncoderClassifier, by from_hparams.
"""

# The parts of a recipe that inference needs.
INFERENCE_KEYS = (
    "sample_rate",
    "max_frames",
    "compute_features",
    "mean_var_norm",
    "embedding_model",
    "classifier",
    "modules",
)

# What the kept part of the recipe lacks for inference.
FOOTER = """
audio_normalizer: !new:speechbrain.dataio.preprocess.AudioNormalizer
    sample_rate: !ref <sample_rate>

label_encoder: !new:speechbrain.dataio.encoder.CategoricalEncoder

pretrainer: !new:speechbrain.utils.parameter_transfer.Pretrainer
    loadables:
        embedding_model: !ref <embedding_model>
        classifier: !ref <classifier>
        label_encoder: !ref <label_encoder>
"""


def export_inference(
    hparams_file, modules, label_encoder, folder, keys=INFERENCE_KEYS
):
    """Writes an inference folder: hyperparams.yaml, weights, label encoder.

    The yaml holds those parts of the recipe that inference needs, with all
    references and overrides resolved. The folder appears whole or not at all,
    and can be moved. The labels are in it twice: as label_encoder.txt, to be
    read, and as label_encoder.ckpt, the only name under which SpeechBrain's
    ``Pretrainer`` finds a file beside the yaml, wherever that is.

    Arguments
    ---------
    hparams_file : str
        The resolved yaml of the experiment, which
        ``speechbrain.core.create_experiment_directory`` writes.
    modules : dict of torch.nn.Module
        The trained ``embedding_model`` and ``classifier``.
    label_encoder : speechbrain.dataio.encoder.CategoricalEncoder
        Maps the classifier's outputs to labels.
    folder : str
        The folder to write; one that exists is replaced.
    keys : sequence of str
        Keys of the yaml to keep.

    Returns
    -------
    pathlib.Path
        The folder.

    Example
    -------
    >>> from speechbrain.dataio.encoder import CategoricalEncoder
    >>> tmpdir = getfixture("tmpdir")
    >>> _ = (tmpdir / "recipe.yaml").write("seed: 1\\nsample_rate: 16000")
    >>> labels = CategoricalEncoder()
    >>> labels.update_from_iterable(["Speech", "Music"])
    >>> folder = export_inference(
    ...     tmpdir / "recipe.yaml",
    ...     {"classifier": torch.nn.Linear(4, 2)},
    ...     labels,
    ...     tmpdir / "inference",
    ...     keys=["sample_rate"],
    ... )
    >>> sorted(path.name for path in folder.glob("*.ckpt"))
    ['classifier.ckpt', 'label_encoder.ckpt']
    """
    folder = Path(folder)
    unfinished = folder.with_name(folder.name + ".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)

    yaml = ruamel.yaml.YAML()  # keeps tags such as !new: as they are
    with open(hparams_file, encoding="utf-8") as fi:
        recipe = yaml.load(fi)
    kept = io.StringIO()
    yaml.dump({key: recipe[key] for key in keys}, kept)
    with open(unfinished / "hyperparams.yaml", "w", encoding="utf-8") as fo:
        fo.write(HEADER)
        for line in kept.getvalue().splitlines():
            if line and not line.startswith("#"):  # the recipe's headings
                fo.write(line + "\n")
        fo.write(FOOTER)
    for name, module in modules.items():
        state = {k: v.cpu() for k, v in module.state_dict().items()}
        torch.save(state, unfinished / f"{name}.ckpt")
    for suffix in ("txt", "ckpt"):
        label_encoder.save(unfinished / f"label_encoder.{suffix}")

    shutil.rmtree(folder, ignore_errors=True)
    unfinished.rename(folder)
    return folder
