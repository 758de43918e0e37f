"""Sends requests to an engine in this process: without a client, signatures and connections."""

from __future__ import annotations

from collections.abc import Callable

from dynamo_bao.dynamodb.transport.botocore import BotocoreSender
from dynamo_bao.dynamodb.transport.direct import TARGET, DirectSender, encoded
from dynamo_bao.dynamodb.transport.http import HttpReply
from dynamo_bao.dynamodb.transport.messages import Request

AnswerTo = Callable[[str, bytes], tuple[int, dict[str, str], bytes]]
"""Status, headers and body for a target and the body of a request."""


class EmbeddedSender(DirectSender):
    """Makes attempts by asking the engine. If the client was made, requests go through it, as somebody may listen.

    Args:
        boto: the sender through boto3, which makes the client when somebody asks for it.
        answer_to: the engine.
    """

    def __init__(self, boto: BotocoreSender, answer_to: AnswerTo) -> None:
        super().__init__(boto)
        self._answer_from_engine = answer_to

    def attempt(self, request: Request, seconds: float) -> dict[str, object]:
        body = None if self.boto.is_open else encoded(request.written)
        if body is None:
            return super().attempt(request, seconds)
        return self._answer(request, HttpReply(*self._answer_from_engine(TARGET + request.operation, body)))
