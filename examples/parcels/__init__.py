"""Parcels and their scans, stored by two functions of AWS Lambda: one for an HTTP API, one for a queue."""
