"""Audio tagging for SpeechBrain with full-frequency temporal patching.

An implementation of https://arxiv.org/abs/2508.21243.

Authors
 * The speechbrain_fftp authors 2026
"""

__version__ = "0.1.0"


def register():
    """Makes the modules importable under their future names in SpeechBrain.

    Yaml files and scripts written for SpeechBrain with this package merged into
    it then work with the plugin alone. Modules that SpeechBrain itself has take
    precedence. A second call does nothing.

    Example
    -------
    >>> register()
    >>> from speechbrain.augment.specmask import SpecMask
    >>> SpecMask
    <class 'speechbrain_fftp.augment.specmask.SpecMask'>
    """
    # Imported here, so that importing the package alone imports nothing else.
    from speechbrain_fftp import upstream_names

    upstream_names.register()
