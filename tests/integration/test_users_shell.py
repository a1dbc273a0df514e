"""Runs the command of each recipe as a user's shell does.

A process of its own, forked from no other, with no variable that sets threads:
with OMP_NUM_THREADS=1, a preparation passed all tests that hung without. That of
the starter's recipe is in test_starter_recipe.py.

Authors
 * The speechbrain_fftp authors 2026
"""

import pytest
from data_folders import write_lists, write_words
from recipe_runs import command, run_as_user

from fftp_tag import AudioTagger
from fftp_tag.audio.decode import find_audio_files

RECIPES = {
    "ast_fftp.yaml": "AudioSet/train.py",
    "ast_fftp_frames.yaml": "AudioSet/train_strong.py",
    "speechcommands/ast_fftp.yaml": "SpeechCommands/train.py",
}


@pytest.mark.parametrize("hparams", RECIPES)
def test_recipes_run_in_a_shell_without_variables(hparams, tmp_path):
    data, output = tmp_path / "data", tmp_path / "run"
    options = {}
    if hparams.startswith("speechcommands"):
        options = {"task": "folders", "patch_frames": 10, "stride_frames": 10}
        write_words(data)
    else:
        # Clips that are long enough for PyTorch to use several threads
        write_lists(data, seconds=10, balanced_train=24, valid=4, eval=4)
    run_as_user(
        command(
            output,
            recipe=RECIPES[hparams],
            hparams=hparams,
            data_folder=data,
            number_of_epochs=1,
            export=True,
            **options,
        )
    )
    clips, _ = find_audio_files(data)
    assert AudioTagger.from_pretrained(output).tag_file(clips[0], threshold=0)
