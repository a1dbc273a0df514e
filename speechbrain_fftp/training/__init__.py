"""Functions that yaml files plug into a recipe: checkpoints, export, ...

Authors
 * The speechbrain_fftp authors 2026
"""
