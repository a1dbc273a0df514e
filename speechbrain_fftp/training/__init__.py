"""Training: the loop that the recipes share, checkpoints, reports.

Authors
 * The speechbrain_fftp authors 2026
"""
