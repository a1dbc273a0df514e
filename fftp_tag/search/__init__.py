"""Finds similar sounds.

Authors
 * The speechbrain_fftp authors 2026
"""
