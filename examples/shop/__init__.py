"""The folder that a reader has at the end of the tutorial, and a command that serves its applications.

`shop` and `tests` are what the tutorial's chapters say, letter by letter. So modules are imported as ``shop.models``,
from this folder. ``python -m examples.shop`` serves the Flask application, ``--fastapi`` the FastAPI application.
"""
