"""What the library needs of Python itself: the process, the caller's line, exceptions of others, log records."""
