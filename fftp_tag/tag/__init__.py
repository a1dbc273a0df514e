"""Tags, events and embeddings of audio.

Authors
 * The speechbrain_fftp authors 2026
"""
