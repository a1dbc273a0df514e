"""Metrics and checkpoints.

Authors
 * The speechbrain_fftp authors 2026
"""
