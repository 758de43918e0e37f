"""The entry points of the functions, as ``template.yaml`` names them.

The models are connected once for each execution environment. That opens no connection.
"""

from __future__ import annotations

from examples.parcels import http_api as api, scan_queue as queue
from examples.parcels.models import connect

connect()
http_api = api.handler
scan_queue = queue.handler
