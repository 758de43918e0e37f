"""The package explorer: the Python packages installed here, their people, requirements and files, as web pages.

``python -m examples.package_explorer demo`` shows what the batch context saves, ``serve`` the pages themselves.
"""
