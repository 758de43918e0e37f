"""The subject of an error: which item or query a request that failed was about."""

from __future__ import annotations

from dynamo_bao.errors import BaoError, DataFormatError, cause_of, message_of


def about(error: Exception, subject: str, model: str | None = None, key: str | None = None) -> Exception:
    """The error with the subject of the request in front of its text.

    Args:
        error: the error that ended the request.
        subject: the subject of the request, such as ``"User 'ada'"``.
        model, key: the model and the key of the subject.

    Returns:
        A copy with the subject; `error` itself if its text has a subject already, or if it is neither a
        `DataFormatError` nor one of botocore's errors.
    """
    names_nothing = isinstance(error, DataFormatError) and error.model is None
    if not names_nothing and not (isinstance(error, BaoError) and hasattr(error, "kwargs")):
        return error
    if "subject" in error.__dict__:
        return error
    labelled = type(error).__new__(type(error))
    labelled.args = (f"{subject}: {message_of(error)}",)
    labelled.__dict__.update(
        error.__dict__, subject=subject, model=model or subject.split(" ")[0].split(".")[0]
    )
    if key is not None:
        labelled.__dict__["key"] = key
    labelled.__cause__ = cause_of(error)
    return labelled
