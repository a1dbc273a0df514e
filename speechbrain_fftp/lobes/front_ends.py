"""Front ends by name, for yaml files.

Authors
 * The speechbrain_fftp authors 2026
"""

from speechbrain_fftp.lobes.features import KaldiFbank

# Options of KaldiFbank
FRONT_ENDS = {
    "ast": {},
    # Of https://github.com/k2-fsa/sherpa-onnx, see its features.h
    "sherpa": {
        "window_type": "povey",
        "high_freq": -400.0,
        "snip_edges": False,
    },
}
SHERPA_SIZES = (16000, 80)  # sherpa-onnx has no other


def make_fbank(name, sample_rate, n_mels):
    """Makes the filterbanks of AST ("ast") or of sherpa-onnx ("sherpa").

    Yaml files call this: what cannot be used ends the script with one line.

    Example
    -------
    >>> import torch
    >>> make_fbank("sherpa", 16000, 80)(torch.rand(2, 16000)).shape
    torch.Size([2, 100, 80])
    """
    if name not in FRONT_ENDS:
        raise SystemExit(f"--front_end {name} must be ast or sherpa.")
    if name == "sherpa" and (sample_rate, n_mels) != SHERPA_SIZES:
        raise SystemExit(
            "--front_end sherpa needs --sample_rate 16000 --n_mels 80."
        )
    return KaldiFbank(sample_rate, n_mels, **FRONT_ENDS[name])
