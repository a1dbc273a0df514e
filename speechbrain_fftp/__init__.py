"""Audio tagging for SpeechBrain with full-frequency temporal patching.

An implementation of https://arxiv.org/abs/2508.21243.

Authors
 * The speechbrain_fftp authors 2026
"""

from speechbrain_fftp.version import __version__


def register():
    """Makes the modules importable under their names in SpeechBrain.

    A yaml file or a script written for SpeechBrain with this package merged
    into it then works without that. What SpeechBrain has itself is what it was,
    also once it has these modules. A second call does nothing.

    Example
    -------
    >>> register()
    >>> from speechbrain.augment.specmask import SpecMask
    >>> SpecMask
    <class 'speechbrain_fftp.augment.specmask.SpecMask'>
    """
    # Late: this package imports nothing that its user does not ask for.
    from speechbrain_fftp import upstream_names

    upstream_names.register()
