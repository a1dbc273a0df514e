"""Clips that are padded to one length, and the paper's commands.

Authors
 * The speechbrain_fftp authors 2026
"""

import re
import shlex

import pytest
import torch
from recipe_brains import ROOT, load_tiny

from speechbrain_fftp.lobes.features import KaldiFbank, PaddedFeatures
from speechbrain_fftp.lobes.tagger import extract_features
from speechbrain_fftp.training.guard import check_settings


def printed_commands(recipe):
    """The yaml and the options of a README's commands with padding."""
    text = (ROOT / "recipes" / recipe / "README.md").read_text("utf-8")
    for line in re.findall(r"(?m)^python .*--pad_frames.*$", text):
        words = shlex.split(line)
        yaml = words[2].removeprefix("hparams/")
        options = dict(zip(words[3::2], words[4::2]))
        names = {name.removeprefix("--"): x for name, x in options.items()}
        for name in ("data_folder", "output_folder", "max_grad_norm"):
            del names[name]
        yield yaml, names


def load_command(yaml, options, folder):
    """What a command's yaml and options build; the options stay texts."""
    typed = {
        name: [int(x) for x in value.strip("[]").split(",")]
        if value.startswith("[")
        else int(value)
        for name, value in options.items()
        if re.fullmatch(r"[\d\[\], ]+", value)
    }
    if "null" in options.values():
        typed["wav_augment"] = None
    return load_tiny(yaml, folder, **typed)


def test_token_counts_are_the_papers(tmp_path):
    """Of clips of 10 s and of 3 s, by the commands as printed."""
    counts = []
    for yaml, options in printed_commands("AudioSet"):
        hparams = load_command(yaml, options, tmp_path)
        for seconds in (10, 3):
            wavs = torch.rand(1, 16000 * seconds)
            feats, lens = extract_features(hparams["modules"], wavs)
            assert lens is None
            tokens = hparams["embedding"](feats).shape[1]
            assert tokens == hparams["embedding"].num_patches(feats.shape[1])
        counts.append(tokens)
    assert counts == [991, 196, 96, 1212]


def test_a_sixteenth_of_a_word_is_masked(tmp_path):
    """1,024 cells of 128 x 128, as in the paper."""
    ((yaml, options),) = printed_commands("SpeechCommands")
    hparams = load_command(yaml, options, tmp_path)
    feats, lens = extract_features(hparams["modules"], torch.rand(8, 16000))
    masked = hparams["masking"](feats, lens) != feats
    assert feats.shape == (8, 128, 128) and lens is None
    assert (masked.float().mean((1, 2)) == 0.0625).all()


def test_padding_is_zeros_before_normalisation():
    front_end = KaldiFbank(n_mels=40)
    padded = PaddedFeatures(front_end, 100)
    wavs, lens = torch.rand(3, 12000), torch.tensor([1.0, 0.5, 0.02])
    found = padded(wavs, lens)
    for feats, count in zip(found, (73, 36, 1)):
        assert not feats[count:].any()
    torch.testing.assert_close(found[0, :73], front_end(wavs)[0])
    # Longer clips are cut
    assert torch.equal(PaddedFeatures(front_end, 50)(wavs)[0], found[0, :50])


def test_another_length_than_the_maximum_is_named(tmp_path):
    yaml = tmp_path / "train.yaml"
    yaml.write_text("pad_frames: 1000\nmax_frames: 1024\n", "utf-8")
    with pytest.raises(SystemExit, match="--max_frames 1000"):
        check_settings(yaml, "", {})
