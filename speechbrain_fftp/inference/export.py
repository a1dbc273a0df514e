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

# What the kept part of the recipe lacks for inference.
FOOTER = """
label_encoder: !new:speechbrain.dataio.encoder.CategoricalEncoder

pretrainer: !new:speechbrain.utils.parameter_transfer.Pretrainer
    loadables:
        embedding_model: !ref <embedding_model>
        classifier: !ref <classifier>
        label_encoder: !ref <label_encoder>
    paths:
        label_encoder: label_encoder.txt
"""


def export_inference(hparams_file, modules, label_encoder, folder, keys):
    """Writes an inference folder: hyperparams.yaml, weights, label encoder.

    The yaml holds those parts of the recipe that inference needs, with all
    references and overrides resolved. The folder appears whole or not at all.

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
    keys : list of str
        Keys of the yaml to keep, ``modules`` among them.

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
    >>> sorted(path.name for path in folder.iterdir())
    ['classifier.ckpt', 'hyperparams.yaml', 'label_encoder.txt']
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
    label_encoder.save(unfinished / "label_encoder.txt")

    shutil.rmtree(folder, ignore_errors=True)
    unfinished.rename(folder)
    return folder
