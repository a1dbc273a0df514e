"""Trains an exported recipe, and compares it with its inference yaml.

> python upstream_decisions.py TRAIN_PY YAML INFERENCE_YAML DATA OUT OPTIONS...

Runs in a process of its own, in the folder of the recipe, as users do. Prints
how many decisions on the test clips are the same in the recipe, in batches, and
in ``EncoderClassifier``, for each clip on its own.

Authors
 * The speechbrain_fftp authors 2026
"""

import json
import runpy
import sys
from pathlib import Path

import torch

import speechbrain as sb
from speechbrain.inference.classifiers import EncoderClassifier

SIZES = ("embed_dim", "depth")


def main():
    """Trains, compares and prints."""
    script, yaml, inference_yaml, data, out, *options = sys.argv[1:]
    sys.path.insert(0, str(Path(script).parent))
    sys.argv = [script, yaml, f"--data_folder={data}", f"--output_folder={out}"]
    sys.argv += ["--device=cpu", "--number_of_epochs=1", *options]
    recipe = runpy.run_path(script, run_name="__main__")
    brain, test_data = recipe["speaker_brain"], recipe["test_data"]
    loader = brain.make_dataloader(
        test_data, sb.Stage.TEST, batch_size=16, ckpt_prefix=None
    )
    expected = {}
    brain.modules.eval()
    with torch.no_grad():
        for batch in loader:
            outputs, _ = brain.compute_forward(batch, sb.Stage.TEST)
            expected.update(zip(batch.id, outputs.flatten(1).argmax(1)))

    (checkpoint,) = Path(out).glob("save/CKPT+*")
    sizes = {name: getattr(brain.hparams, name) for name in SIZES}
    classifier = EncoderClassifier.from_hparams(
        source=str(Path(inference_yaml).parent),
        hparams_file=Path(inference_yaml).name,
        savedir=str(Path(out) / "inference"),
        overrides={"checkpoint": str(checkpoint), **sizes},
    )
    same, lengths = 0, set()
    for item in test_data:
        lengths.add(len(item["sig"]))
        *_, index, label = classifier.classify_batch(item["sig"])
        same += int(index) == int(expected[item["id"]])
        assert recipe["label_encoder"].ind2lab[int(index)] == label[0]
    found = {"of": len(expected), "same": same, "lengths": len(lengths)}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
