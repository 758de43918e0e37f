"""``python -m dynamo_bao`` is the command line ``bao``."""

from __future__ import annotations

from dynamo_bao.cli.main import main

if __name__ == "__main__":
    main()
