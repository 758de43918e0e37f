"""Expressions as values: conditions, updates, and their rendering with placeholders.

This room knows nothing of models: whoever renders hands in a `Resolver` that turns field paths and
values into attribute names and typed values.
"""
