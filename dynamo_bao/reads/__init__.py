"""Reads: single items, queries, iteration, search, and the relations of what was read."""
