"""Beginning without boto3: where everything needed to sign and send is in plain sight, no client has to be made.

Making a boto3 client takes longer than a few hundred requests do. In a Lambda function, a container with keys in
its environment, or where keys are given, nothing of what it would find out is unknown: region, endpoint and
credentials stand in the environment. As soon as anything could make botocore decide otherwise (a configuration
file, a profile, a proxy, an endpoint option, credentials that expire), or anybody has loaded botocore and so might
be listening to it, the ordinary way is taken.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from typing import Any, Final

from dynamo_bao.dynamodb.transport.botocore import ResolvedEndpoint, configured_authorities
from dynamo_bao.dynamodb.transport.http import HttpOrigin
from dynamo_bao.dynamodb.transport.sigv4 import StaticCredentials

_REGION: Final = re.compile(r"(?![0-9]+\Z)(?!-)[a-zA-Z0-9-]{1,63}(?<!-)\Z")
"""What botocore takes for the name of a region."""
_HOST: Final = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)(\.(?!-)[a-z0-9-]{1,63}(?<!-))*\.?\Z")
"""What botocore takes for the name of a host: none with an underscore."""
_PLAIN_REGION: Final = re.compile(r"(us|eu|ap|sa|ca|me|af|il|mx)-[a-z]+-\d+\Z")
"""Regions of the standard partition, whose endpoints all look alike."""
_PRINTED: Final = re.compile(r"[!-~]*\Z")
"""What can stand in a header as it is."""
_KNOWN_VARIABLES: Final = frozenset(
    (
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_REGION",
        "AWS_DEFAULT_REGION",
        "AWS_ENDPOINT_URL",
        "AWS_ENDPOINT_URL_DYNAMODB",
        "AWS_CONFIG_FILE",
        "AWS_SHARED_CREDENTIALS_FILE",
        "AWS_CA_BUNDLE",
        "AWS_EC2_METADATA_DISABLED",
        "AWS_EXECUTION_ENV",
        "AWS_XRAY_CONTEXT_MISSING",
        "AWS_XRAY_DAEMON_ADDRESS",
    )
)
"""The settings whose whole meaning is known here; another one may change where and how botocore sends."""
_LISTENERS: Final = frozenset(
    ("botocore.client", "botocore.handlers", "wrapt", "ddtrace", "newrelic", "sentry_sdk", "aws_xray_sdk")
)
"""Modules after whose import somebody may want to see requests."""


class StaticEndpoint:
    """What is known without botocore.

    Attributes:
        resolved_endpoint: where to send, and for which region to sign.
        credentials: who signs.
        ca_bundle: the file of trusted certificates that is configured; None for the usual ones.
    """

    def __init__(
        self, resolved_endpoint: ResolvedEndpoint, credentials: StaticCredentials, ca_bundle: str | None
    ) -> None:
        self.resolved_endpoint = resolved_endpoint
        self.credentials = credentials
        self.ca_bundle = ca_bundle

    def is_still_valid(self) -> bool:
        """Whether nobody has loaded what could listen to requests, or change them."""
        return sys.modules.keys().isdisjoint(_LISTENERS)


def endpoint_from_environment(
    environment: Mapping[str, str],
    *,
    region: str | None,
    endpoint_url: str | None,
    credentials: Mapping[str, Any],
    user_agent: str,
) -> StaticEndpoint | None:
    """What is known of the way to DynamoDB; None where only botocore can tell.

    Args:
        environment: usually `os.environ`.
        region, endpoint_url, credentials: those given to `init_models`.
        user_agent: who says to be asking.
    """
    if not _is_fully_understood(environment):
        return None
    keys = credentials or {
        "aws_access_key_id": environment.get("AWS_ACCESS_KEY_ID"),
        "aws_secret_access_key": environment.get("AWS_SECRET_ACCESS_KEY"),
        "aws_session_token": environment.get("AWS_SESSION_TOKEN"),
    }
    signs = StaticCredentials.of(keys)
    # AWS_REGION is Lambda's own; botocore reads AWS_DEFAULT_REGION only.
    region = region or environment.get("AWS_DEFAULT_REGION")
    url = endpoint_url or environment.get("AWS_ENDPOINT_URL_DYNAMODB") or environment.get("AWS_ENDPOINT_URL")
    if not (signs.access_key and signs.secret_key and region) or (
        url is None and not _PLAIN_REGION.match(region)
    ):
        return None
    where = f"{(url or f'https://dynamodb.{region}.amazonaws.com').removesuffix('/')}/"
    if not (
        _is_root(where) and _REGION.match(region) and all(map(_PRINTED.match, map(str, filter(None, signs))))
    ):
        return None
    resolved_endpoint = ResolvedEndpoint(where, region, "dynamodb", user_agent)
    return StaticEndpoint(
        resolved_endpoint, signs, configured_authorities(environment.get("AWS_CA_BUNDLE"), environment)
    )


def _is_root(url: str) -> bool:
    """Whether a URL says no more than where a server is, in a way that botocore takes too."""
    try:
        origin = HttpOrigin.of(url)
    except ValueError:
        return False
    return (
        origin.url == url
        and len(origin.host) <= 255
        and (":" in origin.host or bool(_HOST.match(origin.host)))
    )


def _is_fully_understood(environment: Mapping[str, str]) -> bool:
    """Whether nothing is configured that only botocore understands."""
    for name, value in environment.items():
        if value and (
            (name.startswith("AWS_") and name not in _KNOWN_VARIABLES and not name.startswith("AWS_LAMBDA_"))
            or name.lower().endswith("_proxy")
        ):
            return False
    home = os.path.expanduser("~")
    files = (
        environment.get("AWS_CONFIG_FILE") or os.path.join(home, ".aws", "config"),
        environment.get("AWS_SHARED_CREDENTIALS_FILE") or os.path.join(home, ".aws", "credentials"),
        environment.get("BOTO_CONFIG") or "/etc/boto.cfg",
        os.path.join(home, ".boto"),
    )
    return not any(map(_is_non_empty_file, files))


def _is_non_empty_file(file: str) -> bool:
    """Whether a settings file is there and not empty, as ``/dev/null`` is."""
    try:
        return os.stat(file).st_size > 0
    except OSError:
        return False
