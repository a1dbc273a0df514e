"""The file model.onnx: what describes it, runs it, changes it and finds it.

Authors
 * The speechbrain_fftp authors 2026
"""
