"""The service and the table in it: names, keys, expressions and requests. Nothing here knows a model."""
