"""Orders of two shops: one module of models and queries, and two thin applications on it, in Flask and in FastAPI.

``python -m examples.orders serve`` serves the pages, ``serve --fastapi`` the interface for programs.
"""
