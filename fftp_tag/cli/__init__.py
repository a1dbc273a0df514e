"""The command ``fftp-tag``: one file a verb.

Authors
 * The speechbrain_fftp authors 2026
"""
