"""What yaml files plug into a recipe: class prior, distillation, export, ...

Authors
 * The speechbrain_fftp authors 2026
"""
