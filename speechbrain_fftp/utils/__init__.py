"""Tagging metrics, multiply-accumulates, and output folders of trainings.

Authors
 * The speechbrain_fftp authors 2026
"""
