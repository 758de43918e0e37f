"""The unit of work: one owner's pending lookups, identity map and figures.

`session` coordinates the parts beside it; none of the parts knows it.
"""
