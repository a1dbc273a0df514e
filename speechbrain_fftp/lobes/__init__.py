"""Front end and encoders.

Authors
 * The speechbrain_fftp authors 2026
"""
