"""Checks what a model finds by ear: candidates to hear, answers, a web page.

Authors
 * The speechbrain_fftp authors 2026
"""
