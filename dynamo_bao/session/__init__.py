"""The unit of work: pending lookups and queries, the identity map, rounds, and the state of instances.

A `Session` is composed of parts: its ownership, its instances, the loader, the unit of work, its rounds and the cached
queries. Above it are `context`, which opens sessions, and `scope`, which tells operations of models in which session
and for which tenant they run.
"""
