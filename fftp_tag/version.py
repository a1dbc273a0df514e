"""The version of the two packages.

Authors
 * The speechbrain_fftp authors 2026
"""

__version__ = "0.1.0"
