"""Data sets: what lies on disk, and how it is prepared.

Authors
 * The speechbrain_fftp authors 2026
"""
