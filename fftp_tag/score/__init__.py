"""Scores tags and events, and learns thresholds.

Authors
 * The speechbrain_fftp authors 2026
"""
