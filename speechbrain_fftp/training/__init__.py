"""What yaml files plug into a recipe: run folder, distillation, export, ...

Authors
 * The speechbrain_fftp authors 2026
"""
