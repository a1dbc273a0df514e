"""Files, locks on folders, and audio of any kind.

Authors
 * The speechbrain_fftp authors 2026
"""
