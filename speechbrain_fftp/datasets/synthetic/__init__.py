"""Generated data for demos and tests.

Authors
 * The speechbrain_fftp authors 2026
"""
