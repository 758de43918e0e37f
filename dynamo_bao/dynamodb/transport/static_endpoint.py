"""Sends without a boto3 client if the environment has everything that is needed to sign and send.

Making a boto3 client takes longer than a few hundred requests. In a Lambda function, or in a container with keys in
its environment, the client is not needed: the environment has the region, the endpoint and the credentials. But
botocore is used if anything could change its decisions: a configuration file, a profile, a proxy, an endpoint option,
credentials that expire. It is also used if anybody has loaded botocore, and so may listen to it.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from typing import Final

from dynamo_bao.dynamodb.transport.botocore import ResolvedEndpoint, configured_authorities
from dynamo_bao.dynamodb.transport.http import HttpOrigin
from dynamo_bao.dynamodb.transport.sigv4 import StaticCredentials
from dynamo_bao.runtime.patterns import late_pattern

_REGION: Final = re.compile(r"(?![0-9]+\Z)(?!-)[a-zA-Z0-9-]{1,63}(?<!-)\Z")
"""The names of regions that botocore accepts."""
_HOST: Final = late_pattern(r"(?!-)[a-z0-9-]{1,63}(?<!-)(\.(?!-)[a-z0-9-]{1,63}(?<!-))*\.?\Z")
"""The names of hosts that botocore accepts: without underscores."""
_PLAIN_REGION: Final = late_pattern(r"(us|eu|ap|sa|ca|me|af|il|mx)-[a-z]+-\d+\Z")
"""Regions of the standard partition, whose endpoints all have the same form."""
_PRINTED: Final = re.compile(r"[!-~]*\Z")
"""Texts that can be the value of a header."""
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
"""The settings that this module fully understands. Any other one may change where and how botocore sends."""
_LISTENERS: Final = frozenset(
    ("botocore.client", "botocore.handlers", "wrapt", "ddtrace", "newrelic", "sentry_sdk", "aws_xray_sdk")
)
"""Modules whose import means that somebody may want to see requests."""


class StaticEndpoint:
    """An endpoint and credentials that are known without botocore.

    Attributes:
        resolved_endpoint: the URL, and the region of signatures.
        credentials: the credentials that sign.
        ca_bundle: the configured file of trusted certificates; None for the default certificates.
    """

    def __init__(
        self, resolved_endpoint: ResolvedEndpoint, credentials: StaticCredentials, ca_bundle: str | None
    ) -> None:
        self.resolved_endpoint = resolved_endpoint
        self.credentials = credentials
        self.ca_bundle = ca_bundle

    def is_still_valid(self) -> bool:
        """Whether nobody has loaded a module that could listen to requests or change them."""
        return sys.modules.keys().isdisjoint(_LISTENERS)


def endpoint_from_environment(
    environment: Mapping[str, str],
    *,
    region: str | None,
    endpoint_url: str | None,
    credentials: Mapping[str, object],
    user_agent: str,
) -> StaticEndpoint | None:
    """The endpoint and the credentials in the environment; None if only botocore can find them.

    Args:
        environment: usually `os.environ`.
        region, endpoint_url, credentials: the arguments of `init_models`.
        user_agent: the value of the ``User-Agent`` header.
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
    """Whether a URL is the root of a server, in a form that botocore accepts too."""
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
    """Whether the environment has no setting that only botocore understands."""
    for name, value in environment.items():
        if value and (
            (name.startswith("AWS_") and name not in _KNOWN_VARIABLES and not name.startswith("AWS_LAMBDA_"))
            or name.lower().endswith("_proxy")
        ):
            return False
    home_folder = os.path.expanduser("~")
    files = (
        environment.get("AWS_CONFIG_FILE") or os.path.join(home_folder, ".aws", "config"),
        environment.get("AWS_SHARED_CREDENTIALS_FILE") or os.path.join(home_folder, ".aws", "credentials"),
        environment.get("BOTO_CONFIG") or "/etc/boto.cfg",
        os.path.join(home_folder, ".boto"),
    )
    return not any(map(_is_non_empty_file, files))


def _is_non_empty_file(file: str) -> bool:
    """Whether a file exists and is not empty; ``/dev/null`` is empty."""
    try:
        return os.stat(file).st_size > 0
    except OSError:
        return False
