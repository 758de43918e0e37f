"""Certificates that encrypted connections trust: the same authorities and rules as botocore's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dynamo_bao.errors import ConfigurationError

if TYPE_CHECKING:
    import ssl


def trusted_context(file: str | None) -> ssl.SSLContext:
    """A context that verifies servers as botocore's own does.

    From Python 3.13 on `ssl.create_default_context` is stricter: it refuses authorities without a key identifier, or
    with basic constraints that are not critical. Private authorities are often like that, and botocore accepts them.

    Args:
        file: the trusted certificates in PEM format; None for botocore's default certificates.

    Raises:
        ConfigurationError: if the file cannot be read.
    """
    # Imported here: an endpoint on the same machine often has no encryption.
    import ssl

    file = file or usual_certificates()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # which verifies certificates and host names
    try:
        if file is None:
            context.load_default_certs()
        else:
            context.load_verify_locations(cafile=file)
    except OSError as error:
        raise ConfigurationError(
            f"the trusted certificates cannot be read from {file!r} ({error}); "
            f"AWS_CA_BUNDLE or ca_bundle must name a file of certificates in PEM format.",
            field="ca_bundle",
        ) from error
    return context


def usual_certificates() -> str | None:
    """The file of trusted certificates that botocore uses if none is configured."""
    try:
        import certifi
    except ImportError:
        from importlib.util import find_spec
        from pathlib import Path

        spec = find_spec("botocore")
        return str(Path(spec.origin).parent / "cacert.pem") if spec and spec.origin else None
    return certifi.where()
