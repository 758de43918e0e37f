"""The unit of work: pending lookups and queries, the identity map, rounds, and the state of instances.

The module `session` coordinates the parts. Above it are `context`, which opens sessions, and `scope`, which tells
operations of models in which session and for which tenant they run.
"""
