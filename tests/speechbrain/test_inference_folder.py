"""Test of the folder for inference of a training.

Authors
 * The speechbrain_fftp authors 2026
"""

import pytest
import torch

YAML = """
output_folder: !PLACEHOLDER
save_folder: !ref <output_folder>/save
train_annotation: !ref <save_folder>/train.csv
number_of_epochs: 2
sample_rate: 16000
n_mels: 8
n_classes: 3

compute_features: !new:speechbrain.lobes.features.Fbank
    n_mels: !ref <n_mels>
mean_var_norm: !new:speechbrain.processing.features.InputNormalization
    norm_type: sentence
    std_norm: False
embedding_model: !new:speechbrain.lobes.models.Xvector.Xvector
    in_channels: !ref <n_mels>
    tdnn_blocks: 1
    tdnn_channels: [6]
    tdnn_kernel_sizes: [3]
    tdnn_dilations: [1]
    lin_neurons: 4
classifier: !new:speechbrain.lobes.models.Xvector.Classifier
    input_shape: [null, null, 4]
    lin_blocks: 1
    lin_neurons: 4
    out_neurons: !ref <n_classes>
modules:
    compute_features: !ref <compute_features>
    mean_var_norm: !ref <mean_var_norm>
    embedding_model: !ref <embedding_model>
    classifier: !ref <classifier>
counter: !new:speechbrain.utils.epoch_loop.EpochCounter
    limit: !ref <number_of_epochs>
checkpointer: !new:speechbrain.utils.checkpoints.Checkpointer
    checkpoints_dir: !ref <save_folder>
    recoverables:
        embedding_model: !ref <embedding_model>
        classifier: !ref <classifier>
        counter: !ref <counter>
"""


@pytest.mark.parametrize("best", [0, 1])
def test_the_best_checkpoint_can_be_moved_and_loaded(tmp_path, best):
    from hyperpyyaml import load_hyperpyyaml

    from speechbrain.core import create_experiment_directory
    from speechbrain.dataio.encoder import CategoricalEncoder
    from speechbrain.inference.classifiers import EncoderClassifier
    from speechbrain.utils.inference_folder import convert_run

    run, yaml = tmp_path / "run", tmp_path / "train.yaml"
    yaml.write_text(YAML, encoding="utf-8")
    overrides = {"output_folder": str(run)}
    with open(yaml, encoding="utf-8") as file:
        hparams = load_hyperpyyaml(file, overrides)
    create_experiment_directory(run, yaml, overrides)
    encoder = CategoricalEncoder()
    encoder.update_from_iterable(["no", "stop", "yes"])
    wavs, expected = torch.randn(1, 8000), []
    modules = torch.nn.ModuleDict(hparams["modules"])
    for epoch in range(2):
        for parameter in modules.parameters():
            torch.nn.init.normal_(parameter, std=0.5)
        error = 0.1 if epoch == best else 0.2
        hparams["checkpointer"].save_checkpoint({"ErrorRate": error})
        modules.eval()
        with torch.no_grad():
            feats = modules["compute_features"](wavs)
            feats = modules["mean_var_norm"](feats, torch.ones(1))
            embeddings = modules["embedding_model"](feats, torch.ones(1))
            expected.append(modules["classifier"](embeddings)[:, 0])
    encoder.save(run / "save" / "label_encoder.txt")

    convert_run(run, tmp_path / "made", min_key="ErrorRate")
    (tmp_path / "made").rename(tmp_path / "moved")
    run.rename(tmp_path / "elsewhere")
    classifier = EncoderClassifier.from_hparams(str(tmp_path / "moved"))
    log_probs, _, index, label = classifier.classify_batch(wavs)
    # StatisticsPooling adds noise
    torch.testing.assert_close(log_probs, expected[best], rtol=0, atol=1e-3)
    assert not torch.allclose(log_probs, expected[1 - best], atol=0.1)
    assert label == [encoder.decode_ndim(index[0])]
