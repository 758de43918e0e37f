"""The way between a class and its items: declarations, the compiled schema, keys and codecs; no requests."""
