"""The ``fftp-tag`` command, and in ``static`` its page in the browser.

Authors
 * The speechbrain_fftp authors 2026
"""
