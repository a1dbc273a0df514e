"""Test that the Google-speech-commands recipe leaves padding out of embeddings.

Authors
 * The speechbrain_fftp authors 2026
"""

import runpy

import torch


class Samples(torch.nn.Module):
    """Samples as features of one bin."""

    def forward(self, wavs):
        """[B, S] -> [B, S, 1]"""
        return wavs.unsqueeze(2)


class Unchanged(torch.nn.Module):
    """A normalisation that does nothing."""

    def forward(self, x, lengths=None):
        """[B, S, 1] -> [B, S, 1]"""
        return x


def test_padding_is_not_pooled(device):
    from speechbrain import Stage
    from speechbrain.dataio.batch import PaddedBatch
    from speechbrain.nnet.pooling import StatisticsPooling

    recipe = runpy.run_path("recipes/Google-speech-commands/train.py")
    brain = recipe["SpeakerBrain"](
        {
            "compute_features": Samples(),
            "mean_var_norm": Unchanged(),
            "embedding_model": StatisticsPooling(return_std=False),
            "classifier": torch.nn.Identity(),
        },
        run_opts={"device": device},
    )
    clips = [torch.full((size,), 5.0) for size in (10, 6)]
    batch = PaddedBatch([{"id": str(len(c)), "sig": c} for c in clips])
    means, _ = brain.compute_forward(batch, Stage.VALID)
    expected = torch.full((2, 1, 1), 5.0, device=device)
    torch.testing.assert_close(means, expected, rtol=0, atol=1e-3)
