"""Exports models as the file model.onnx.

Authors
 * The speechbrain_fftp authors 2026
"""
