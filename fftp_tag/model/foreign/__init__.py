"""ONNX files of others: each known form is joined with its front end.

Authors
 * The speechbrain_fftp authors 2026
"""
