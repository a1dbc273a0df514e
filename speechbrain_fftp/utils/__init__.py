"""Metrics of tagging, multiply-accumulates, and the folder of a training.

Authors
 * The speechbrain_fftp authors 2026
"""
