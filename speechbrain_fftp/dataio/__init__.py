"""Readers of data sets, and a demo set.

Authors
 * The speechbrain_fftp authors 2026
"""
