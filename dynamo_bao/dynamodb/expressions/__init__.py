"""Expressions as values: conditions, updates, and their rendering with placeholders.

This package knows no models: its callers pass a `Resolver`, which turns field paths and values into
attribute names and typed values.
"""
