"""Functions that yaml files plug into a recipe: distillation, export, ...

Authors
 * The speechbrain_fftp authors 2026
"""
