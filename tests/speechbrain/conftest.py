"""Imports of SpeechBrain in its unit tests find this package.

Authors
 * The speechbrain_fftp authors 2026
"""

import speechbrain_fftp

speechbrain_fftp.register()

# Tests that need a checkout of SpeechBrain
collect_ignore = [
    "test_interrupted_checkpoint.py",
    "test_max_grad_norm.py",
    "test_parallel_pytorch.py",
    "test_spectrogram_drop.py",
    "test_sync_batch_norm.py",
]
