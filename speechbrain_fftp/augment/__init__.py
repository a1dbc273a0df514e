"""Augmentations.

Authors
 * The speechbrain_fftp authors 2026
"""
