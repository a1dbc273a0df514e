"""Lists and prepares data sets.

Authors
 * The speechbrain_fftp authors 2026
"""
