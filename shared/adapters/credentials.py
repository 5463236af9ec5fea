"""Reads what `shared.access` names: secrets and certificates. A mistake names its variable, and never the secret."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path

import msgspec

from shared.access import Secret, Tls
from shared.errors import ConfigurationError
from shared.settings import Settings, read_settings

# OpenSSL's codes of what is wrong with a certificate.
_EXPIRED, _NOT_YET = 10, 9
_OTHER_HOST = frozenset({62, 64})


def surroundings(environ: Mapping[str, str]) -> Settings:
    """Return the settings in `environ`, with the key of request ids that they name.

    Passwords stay in their files until they are used, so that a new one is found where the old one was.

    Raises:
        ConfigurationError: as `read_settings`; or a file that cannot be read.
    """
    settings = read_settings(environ)
    return msgspec.structs.replace(settings, id_key=reveal(settings.id_secret))


def reveal(secret: Secret) -> str:
    """Return a secret as its file holds it now, without the line feed at its end; empty when none is given.

    Raises:
        ConfigurationError: the file cannot be read, or holds nothing.
    """
    if not secret.file:
        return secret.text
    name = f"{secret.name}_FILE"
    text = _read(name, secret.file).rstrip("\r\n")
    if not text:
        raise ConfigurationError(name, f"{secret.file} is empty")
    return text


def tls_context(tls: Tls) -> ssl.SSLContext:
    """Return a context that verifies certificates and names of hosts.

    Raises:
        ConfigurationError: a file cannot be read or is not what it should be; names its variable.
    """
    context = ssl.create_default_context()
    if tls.ca:
        try:
            context = ssl.create_default_context(cadata=_read(f"{tls.prefix}_CA", tls.ca))
        except (ssl.SSLError, ValueError) as exc:
            raise ConfigurationError(f"{tls.prefix}_CA", f"{tls.ca} holds no certificates in PEM") from exc
    if tls.certificate:
        _read(f"{tls.prefix}_CERTIFICATE", tls.certificate)
        _read(f"{tls.prefix}_KEY", tls.key)
        password = reveal(tls.key_password)
        try:
            # Without a password given, OpenSSL would ask for one at the terminal.
            context.load_cert_chain(tls.certificate, tls.key, lambda: password)
        except ssl.SSLError as exc:
            advice = f"they do not belong together, are not PEM, or {tls.key_password.name} does not unlock the key"
            raise ConfigurationError(f"{tls.prefix}_KEY", f"{tls.certificate} and {tls.key}: {advice}") from exc
    return context


def of_certificate(code: int, message: str, prefix: str) -> str:
    """Return what a failed verification means, and what mends it; `prefix` is of the variables' names."""
    if code in (_EXPIRED, _NOT_YET):
        mend = "the server needs a new one"
    elif code in _OTHER_HOST:
        mend = "connect by a name that it holds, or give the server one that holds this name"
    else:
        mend = f"{prefix}_CA must hold the authority that signed it"
    return f"its certificate is not accepted, {message.rstrip('.')}: {mend}"


def _read(name: str, path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError as exc:
        raise ConfigurationError(name, f"cannot read {path}: {exc.strerror}") from exc
    except UnicodeDecodeError as exc:
        raise ConfigurationError(name, f"{path} is no text") from exc
