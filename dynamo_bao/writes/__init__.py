"""Writes: planned as pure values, then carried out, so that plans are tested without any transport."""
