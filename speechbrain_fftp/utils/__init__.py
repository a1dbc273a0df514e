"""Metrics and counts.

Authors
 * The speechbrain_fftp authors 2026
"""
