"""Tests of what recipes check before training starts.

Authors
 * The speechbrain_fftp authors 2026
"""

from pathlib import Path

import pytest

from speechbrain_fftp.training.setup import check_options

ROOT = Path(__file__).resolve().parents[3]
YAML = str(ROOT / "hparams" / "ast_fftp.yaml")
WORDS = str(ROOT / "hparams" / "speechcommands" / "ast_fftp.yaml")


@pytest.mark.parametrize(
    "given, said",
    [
        ("--number_of_epoch 3", "did you mean --number_of_epochs?"),
        ("--precison bf16", "did you mean --precision?"),
        ("--prec bf16", "there is no option --prec"),
        ("--xyzzy 3", "there is no option --xyzzy"),
        ("--lr 0.1 --seed 3 --lr=0.2", "--lr is given twice"),
        ("--number_of_epochs 0", "--number_of_epochs must be greater than 0"),
        ("--number_of_epochs 2.5", "must be a whole number, not 2.5"),
        ("--batch_size 0", "--batch_size must be greater than 0, not 0"),
        ("--lr 0", "--lr must be greater than 0"),
        ("--lr -0.1", "--lr must be greater than 0, not -0.1"),
        ("--lr .inf", "--lr must be greater than 0"),
        ("--lr fast", "--lr must be a number, not fast"),
        ("--num_workers -1", "--num_workers must not be negative"),
        ("--class_balanced no", "must be True or False, not no"),
        ("--class_balanced", "--class_balanced needs a value"),
        ("--mask_patch 5", "must be a list"),
        ("--mask_patch [5", "cannot be read: [5"),
        ("--debug True", "--debug takes no value"),
        ("--precision fp8", "--precision is fp32, fp16 or bf16, not fp8"),
        ("--grad_accumulation_factor 0", "must be greater than 0"),
        ("--optimizer_step_limit few", "must be a whole number, not few"),
        ("--optimizer_step_limit 0", "must be greater than 0"),
        ("--output_folder=a=b", "cannot have a '='"),
        ("stray --lr 1", "stray is no option"),
    ],
)
def test_wrong_options_are_one_line(given, said, capsys):
    with pytest.raises(SystemExit) as error:
        check_options([YAML, *given.split()])
    assert error.value.code == 2
    printed = capsys.readouterr().err
    assert said in printed and printed.count("\n") == 1


@pytest.mark.parametrize("given", [[], ["--lr", "1"], ["no.yaml"]])
def test_yaml_comes_first(given, capsys):
    with pytest.raises(SystemExit):
        check_options(given)
    assert "yaml file" in capsys.readouterr().err


def test_right_options_are_passed_on(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    given = "--lr 1e-3 --seed=0 --debug --mask_patch [5, 16] --final_lr 0"
    given += " --mask_budget 1024 --pretrained a.pth --num_threads 1"
    given += " --max_grad_norm -1 --format webdataset --unbalanced True"
    words = [YAML, *given.split()]
    assert check_options([*words, "--verbose"]) == words
    words = [WORDS, "--task", "folders", "--speeds", "[90,", "110]"]
    assert check_options(words) == words


def test_help_says_that_keys_of_the_yaml_file_are_options(capsys):
    assert check_options([YAML, "--help"]) == [YAML, "--help"]
    assert "key of the yaml file is also an option" in capsys.readouterr().out


@pytest.mark.parametrize(
    "given, precision",
    [
        ("", "bf16"),
        ("--device cuda:1", "bf16"),
        ("--device=cpu", None),
        ("--precision fp32", "fp32"),
        ("--precision=fp16", "fp16"),
    ],
)
def test_bf16_is_the_default_on_gpus_that_have_it(
    given, precision, monkeypatch
):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    for has_bf16 in (True, False):
        monkeypatch.setattr(
            "torch.cuda.is_bf16_supported", lambda **_: has_bf16
        )
        found = check_options([YAML, *given.split()])
        found = " ".join(found).replace("=", " ").split()
        options = dict(zip(found[1::2], found[2::2]))
        own = "--precision" in given
        expected = precision if own or has_bf16 else None
        assert options.get("--precision") == expected
