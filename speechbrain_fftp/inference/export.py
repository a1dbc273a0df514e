"""Turns a trained recipe into a folder that ``from_hparams`` loads.

Authors
 * The speechbrain_fftp authors 2026
"""

import io
import shutil
from pathlib import Path

import ruamel.yaml
import torch

from speechbrain.utils.logger import get_logger
from speechbrain_fftp.inference.model_config import save_folder

logger = get_logger(__name__)

HEADER = """\
# Audio tagging model. Load it with speechbrain_fftp.inference.AudioTagger, by
# from_pretrained or from_hparams, or by from_hparams with
# speechbrain.inference.classifiers.EncoderClassifier.
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
    hparams_file,
    modules,
    label_encoder,
    folder,
    keys=INFERENCE_KEYS,
    single_label=False,
):
    """Writes an inference folder: hyperparams.yaml, weights, label encoder.

    Beside these, config.json, model.safetensors and labels.csv are the same
    model as data, for ``AudioTagger.from_pretrained``. They are left out, with
    a warning, if the recipe uses other classes than these can describe.

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
    single_label : bool
        Whether a clip has one class only: their probabilities then sum up to 1.

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
        if single_label:
            fo.write("\nsingle_label: True\n")
    for name, module in modules.items():
        state = {k: v.cpu() for k, v in module.state_dict().items()}
        torch.save(state, unfinished / f"{name}.ckpt")
    for suffix in ("txt", "ckpt"):
        label_encoder.save(unfinished / f"label_encoder.{suffix}")
    labels = label_encoder.ind2lab
    try:
        ordered = [labels[number] for number in sorted(labels)]
        save_folder(unfinished, recipe, modules, ordered, single_label)
    except (ImportError, ValueError) as error:
        logger.warning(
            "The model is not written as config.json and model.safetensors, "
            "from_hparams alone loads it: %s",
            error,
        )

    # Half of the old one must not be left under its name by a kill.
    replaced = folder.with_name(folder.name + ".replaced")
    shutil.rmtree(replaced, ignore_errors=True)
    if folder.exists():
        folder.rename(replaced)
    unfinished.rename(folder)
    shutil.rmtree(replaced, ignore_errors=True)
    return folder
