"""Interfaces of trained models.

Authors
 * The speechbrain_fftp authors 2026
"""
