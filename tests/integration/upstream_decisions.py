"""Trains an exported recipe, and compares it with its inference yaml.

> python upstream_decisions.py TRAIN_PY YAML INFERENCE_YAML DATA OUT OPTIONS...

Runs in a process of its own, in the folder of the recipe, as users do. Prints
how many decisions on the test clips are the same in the recipe, in batches, and
in ``EncoderClassifier``, for each clip on its own; and how much their outputs
differ at most.

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


def main():
    """Trains, compares and prints."""
    script, yaml, inference_yaml, data, out, *options = sys.argv[1:]
    sys.path.insert(0, str(Path(script).parent))
    sys.argv = [script, yaml, f"--data_folder={data}", f"--output_folder={out}"]
    sys.argv += ["--device=cpu", "--number_of_epochs=1", *options]
    recipe = runpy.run_path(script, run_name="__main__")
    if "datasets" in recipe:  # AudioSet's, with several labels per clip
        brain = recipe["brain"]
        test_data = recipe["datasets"]["test"]
        labels = brain.hparams.label_encoder
        activation = torch.nn.functional.logsigmoid
        inference = {"source": str(Path(out) / "inference")}
    else:
        brain = recipe["speaker_brain"]
        test_data = recipe["test_data"]
        labels = recipe["label_encoder"]
        activation = torch.nn.Identity()
        (checkpoint,) = Path(out).glob("save/CKPT+*")
        overrides = {"checkpoint": str(checkpoint)}
        for option in options:
            name, _, value = option.removeprefix("--").partition("=")
            if name in ("embed_dim", "depth"):
                overrides[name] = int(value)
        inference = {
            "source": str(Path(inference_yaml).parent),
            "hparams_file": Path(inference_yaml).name,
            "savedir": str(Path(out) / "inference"),
            "overrides": overrides,
        }
    loader = brain.make_dataloader(
        test_data, sb.Stage.TEST, batch_size=16, ckpt_prefix=None
    )
    expected = {}
    brain.modules.eval()
    with torch.no_grad():
        for batch in loader:
            outputs, _ = brain.compute_forward(batch, sb.Stage.TEST)
            expected.update(zip(batch.id, activation(outputs.flatten(1))))

    classifier = EncoderClassifier.from_hparams(**inference)
    same, difference, lengths = 0, 0.0, set()
    for item in test_data:
        lengths.add(len(item["sig"]))
        outputs, _, index, label = classifier.classify_batch(item["sig"])
        row = expected[item["id"]]
        same += int(index) == int(row.argmax())
        difference = max(difference, float((outputs[0] - row).abs().max()))
        assert labels.ind2lab[int(index)] == label[0]
    found = {"same": same, "difference": difference, "lengths": len(lengths)}
    print(json.dumps({"of": len(expected), **found}))


if __name__ == "__main__":
    main()
