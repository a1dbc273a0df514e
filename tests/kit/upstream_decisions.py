"""Trains with a recipe of SpeechBrain, and loads its model as the docs say.

> python upstream_decisions.py KEY TRAIN_PY YAML DATA OUT OPTIONS...

Runs in a process of its own, in the folder of the recipe, as users do. KEY is
that of the best checkpoint. Prints what is found in the test clips in the
recipe, in batches, and in the folder that is written then, for each clip on
its own: by length of the clips, the number of equal decisions, the number of
clips, and the largest difference of log-probabilities.

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
from speechbrain_fftp.utils.inference_folder import convert_run


def main():
    """Trains, compares and prints."""
    key, script, yaml, data, out, *options = sys.argv[1:]
    sys.path.insert(0, str(Path(script).parent))
    sys.argv = [script, yaml, f"--data_folder={data}", f"--output_folder={out}"]
    sys.argv += ["--device=cpu", "--number_of_epochs=1", *options]
    recipe = runpy.run_path(script, run_name="__main__")
    (brain,) = (x for x in recipe.values() if isinstance(x, sb.Brain))
    test_data = recipe["test_data"]
    loader = brain.make_dataloader(
        test_data, sb.Stage.TEST, batch_size=16, ckpt_prefix=None
    )
    expected = {}
    brain.modules.eval()
    with torch.no_grad():
        for batch in loader:
            outputs, _ = brain.compute_forward(batch, sb.Stage.TEST)
            expected.update(zip(batch.id, outputs.flatten(1).log_softmax(1)))

    folder = Path(out, "inference")
    convert_run(out, folder, min_key=key)
    model = EncoderClassifier.from_hparams(
        source=folder, run_opts={"device": "cpu"}
    )
    found = {}
    for item in test_data:
        log_probs = model.classify_batch(item["sig"][None])[0].flatten()
        theirs = expected[item["id"]]
        counts = found.setdefault(len(item["sig"]), [0, 0, 0.0])
        counts[0] += int(log_probs.argmax() == theirs.argmax())
        counts[1] += 1
        counts[2] = max(counts[2], (log_probs - theirs).abs().max().item())
    labels = recipe["label_encoder"].ind2lab
    assert model.hparams.label_encoder.ind2lab == labels
    print(json.dumps(found))


if __name__ == "__main__":
    main()
