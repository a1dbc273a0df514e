"""What the recipes share to train.

Authors
 * The speechbrain_fftp authors 2026
"""
