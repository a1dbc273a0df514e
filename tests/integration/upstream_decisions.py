"""Trains with a recipe of SpeechBrain, and loads its model as the docs say.

> python upstream_decisions.py SNIPPET TRAIN_PY YAML DATA OUT OPTIONS...

Runs in a process of its own, in the folder of the recipe, as users do. Prints
how many decisions on the test clips are the same in the recipe, in batches, and
in the ``classifier`` of the snippet, for each clip on its own: by length of the
clips, ``[same, all]``.

Authors
 * The speechbrain_fftp authors 2026
"""

import json
import runpy
import sys
from pathlib import Path

import torch

import speechbrain as sb


def main():
    """Trains, compares and prints."""
    snippet, script, yaml, data, out, *options = sys.argv[1:]
    sys.path.insert(0, str(Path(script).parent))
    sys.argv = [script, yaml, f"--data_folder={data}", f"--output_folder={out}"]
    sys.argv += ["--device=cpu", "--number_of_epochs=1", *options]
    recipe = runpy.run_path(script, run_name="__main__")
    if "ESC50_brain" in recipe:
        brain, test_data = recipe["ESC50_brain"], recipe["datasets"]["test"]
    else:
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

    names = {}
    exec(Path(snippet).read_text(encoding="utf-8"), names)
    found = {}
    for item in test_data:
        index = names["classifier"].classify_batch(item["sig"][None])[2]
        counts = found.setdefault(len(item["sig"]), [0, 0])
        counts[0] += int(index) == int(expected[item["id"]])
        counts[1] += 1
    labels = names["hparams"]["label_encoder"]
    assert labels.ind2lab == recipe["label_encoder"].ind2lab
    print(json.dumps(found))


if __name__ == "__main__":
    main()
