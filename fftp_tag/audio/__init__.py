"""Audio files of any kind, as blocks of samples.

Authors
 * The speechbrain_fftp authors 2026
"""
