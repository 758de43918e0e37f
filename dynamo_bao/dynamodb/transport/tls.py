"""Whom encrypted connections trust: the same authorities, held to the same rules, as botocore does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dynamo_bao.errors import ConfigurationError

if TYPE_CHECKING:
    import ssl


def trusted_context(file: str | None) -> ssl.SSLContext:
    """A context that verifies servers as botocore's own does.

    `ssl.create_default_context` is stricter from Python 3.13 on: it refuses authorities without a key identifier,
    or whose basic constraints are not critical, as private ones often are. botocore accepts these.

    Args:
        file: the trusted certificates in PEM format; None for those that botocore takes where none are configured.

    Raises:
        ConfigurationError: if the file cannot be read.
    """
    # Imported here: an endpoint in the same machine often does without encryption.
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
            f"AWS_CA_BUNDLE or ca_bundle has to name a file of certificates in PEM format.",
            field="ca_bundle",
        ) from error
    return context


def usual_certificates() -> str | None:
    """The file of trusted certificates that botocore takes where none is configured."""
    try:
        import certifi
    except ImportError:
        from importlib.util import find_spec
        from pathlib import Path

        spec = find_spec("botocore")
        return str(Path(spec.origin).parent / "cacert.pem") if spec and spec.origin else None
    return certifi.where()
