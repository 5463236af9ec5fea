"""The certificates of a secured stack: an authority of its own and one certificate that it signs, made by OpenSSL."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from services.devstack.security import HOSTS, SUBJECT, Files
from services.devstack.stack import StackFailed

_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc")
_DAYS = ("-days", "365")


def make_certificates(files: Files) -> None:
    """Make what is not there yet.

    Raises:
        StackFailed: the machine has no OpenSSL, or it fails.
    """
    if files.keystore.exists():
        return
    request = files.folder / "server.csr"
    authority = ("-subj", "/CN=driftline dev", "-out", files.ca)
    _openssl("req", "-x509", *_KEY, *_DAYS, "-keyout", files.folder / "ca.key", *authority)
    names = ("-subj", f"/{SUBJECT}", "-addext", f"subjectAltName={HOSTS}")
    _openssl("req", *_KEY, "-keyout", files.key, "-out", request, *names)
    signed_by = ("-CA", files.ca, "-CAkey", files.folder / "ca.key", "-copy_extensions", "copy", *_DAYS)
    _openssl("x509", "-req", "-in", request, *signed_by, "-out", files.certificate)
    files.keystore.touch(mode=0o600)
    files.keystore.write_bytes(files.key.read_bytes() + files.certificate.read_bytes())


def _openssl(*arguments: str | Path) -> None:
    program = shutil.which("openssl")
    if program is None:
        raise StackFailed("a secured stack needs certificates: install openssl and put it on PATH")
    ran = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)  # noqa: S603 - no shell
    if ran.returncode:
        raise StackFailed(f"openssl {arguments[0]} failed: {ran.stderr.strip()}")
