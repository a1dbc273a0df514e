"""Speech Commands.

Authors
 * The speechbrain_fftp authors 2026
"""
