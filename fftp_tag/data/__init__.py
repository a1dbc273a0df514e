"""Labelled audio: clips, classes, tables, folders and splits.

Authors
 * The speechbrain_fftp authors 2026
"""
