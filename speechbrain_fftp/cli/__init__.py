"""The ``fftp-tag`` command and its page.

Authors
 * The speechbrain_fftp authors 2026
"""
