"""Inference in SpeechBrain's form; fftp_tag is the application.

Authors
 * The speechbrain_fftp authors 2026
"""
