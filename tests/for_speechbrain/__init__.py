"""Tests that go to SpeechBrain; here, they test this package.

Authors
 * The speechbrain_fftp authors 2026
"""
