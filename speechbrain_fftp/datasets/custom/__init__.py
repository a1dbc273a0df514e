"""Custom data.

Authors
 * The speechbrain_fftp authors 2026
"""
