"""Inference in SpeechBrain's form.

Authors
 * The speechbrain_fftp authors 2026
"""
