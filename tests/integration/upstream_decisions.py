"""Trains an exported recipe on words, and compares it with its inference yaml.

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

script, yaml, inference_yaml, data, out, *options = sys.argv[1:]
sys.path.insert(0, str(Path(script).parent))
sys.argv = [script, yaml, f"--data_folder={data}", f"--output_folder={out}"]
sys.argv += ["--device=cpu", "--number_of_epochs=1", *options]
recipe = runpy.run_path(script, run_name="__main__")
brain = recipe["speaker_brain"]
loader = brain.make_dataloader(
    recipe["test_data"], sb.Stage.TEST, batch_size=16, ckpt_prefix=None
)
decisions = {}
brain.modules.eval()
with torch.no_grad():
    for batch in loader:
        outputs, _ = brain.compute_forward(batch, sb.Stage.TEST)
        best = outputs.flatten(1).argmax(1).tolist()
        decisions.update(zip(batch.id, best))

(checkpoint,) = Path(out).glob("save/CKPT+*")
overrides = {"checkpoint": str(checkpoint)}
names = ("embed_dim", "depth")
for option in options:
    name, _, value = option.removeprefix("--").partition("=")
    if name in names:
        overrides[name] = int(value)
classifier = EncoderClassifier.from_hparams(
    source=str(Path(inference_yaml).parent),
    hparams_file=Path(inference_yaml).name,
    savedir=str(Path(out) / "inference"),
    overrides=overrides,
)
same, lengths, labels = 0, set(), recipe["label_encoder"]
for item in recipe["test_data"]:
    lengths.add(len(item["sig"]))
    _, _, index, label = classifier.classify_batch(item["sig"])
    same += int(index) == decisions[item["id"]]
    assert labels.ind2lab[int(index)] == label[0]
print(json.dumps({"same": same, "of": len(decisions), "lengths": len(lengths)}))
