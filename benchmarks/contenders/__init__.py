"""The libraries that are compared, and two floors: each a module with a class `Contender`.

What the modules share imports nothing, so that each contender's start is its own.
"""

from __future__ import annotations

NAMES = {
    "boto3_client": "boto3 client",
    "boto3_decoded": "boto3 client + TypeDeserializer",
    "boto3_resource": "boto3 resource",
    "pynamodb_models": "PynamoDB",
    "dyntastic_models": "dyntastic",
    "pydynox_models": "pydynox (Rust core)",
    "floor_http": "floor: lean SigV4 + http.client + orjson + compiled decoder",
    "floor_socket": "floor: the same on a raw socket",
    "bao_models": "**dynamo_bao**",
}
"""The modules and their titles, in the order of the tables."""

BASELINE = "boto3_client"
OURS = "bao_models"

NEEDS = {
    "pynamodb_models": ("pynamodb",),
    "dyntastic_models": ("dyntastic", "pydantic"),
    "pydynox_models": ("pydynox",),
    "boto3_client": ("boto3", "botocore"),
    "bao_models": ("dynamo_bao", "orjson", "attrs"),
}
"""The distributions whose versions are reported."""
