"""Jobs over everything that is stored of a model: counting, exporting, importing, rewriting keys, looking for faults.

Each job is an iterator of steps. The caller can show its progress, and stop it after any step. A job that can be
continued later writes a progress file.
"""
