"""``bao local``: a DynamoDB in memory behind HTTP."""

from __future__ import annotations

import signal
from types import FrameType

import click

from dynamo_bao.cli.console import echo
from dynamo_bao.dynamodb.transport.embedded.account import REGION
from dynamo_bao.testing.local_server import LocalServer

LOCAL_TEXT = """\
DynamoDB in memory on {url}. Its tables are gone when it ends; Ctrl-C ends it.
Any credentials will do. For a program that uses an AWS SDK or the AWS CLI:
  export AWS_ENDPOINT_URL_DYNAMODB={url} AWS_REGION={region} AWS_DEFAULT_REGION={region}
  export AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local"""


@click.command("local")
@click.option(
    "--port", default=8000, show_default=True, type=click.IntRange(0, 65535), help="Port; 0 for a free one."
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
def local(port: int, host: str) -> None:
    """A DynamoDB in memory behind HTTP, for other programs: services in any language, the AWS CLI, test suites.

    It answers as DynamoDB does, also with errors. It keeps nothing on disk, checks no credentials, and is meant for
    development and tests.
    """
    with LocalServer(host, port) as server:
        signal.signal(signal.SIGTERM, _end)
        echo(LOCAL_TEXT.format(url=server.url, region=REGION))
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            echo(err=True)


def _end(_: int, __: FrameType | None) -> None:
    raise KeyboardInterrupt
