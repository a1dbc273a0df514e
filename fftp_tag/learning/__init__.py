"""Learns classes from a few clips.

Authors
 * The speechbrain_fftp authors 2026
"""
