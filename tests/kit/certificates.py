"""Certificates of a test's own authority, made by OpenSSL."""

from __future__ import annotations

import subprocess
from pathlib import Path

FAST = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]


def openssl(*arguments: str | Path) -> None:
    """Run one command of OpenSSL."""
    ran = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr


def authority(folder: Path, name: str = "ca") -> Path:
    """Make an authority; return its certificate, `<name>.pem`, beside its key, `<name>.key`."""
    certificate = folder / f"{name}.pem"
    subject = ["-subj", f"/CN=authority {name}", "-days", "2"]
    openssl("req", "-x509", *FAST, "-noenc", "-keyout", folder / f"{name}.key", "-out", certificate, *subject)
    return certificate


def signed(
    ca: Path, name: str, hosts: str = "DNS:localhost,IP:127.0.0.1", *, password: str = "", days: int = 2
) -> Path:
    """Make a certificate that `ca` signs; return it, `<name>.pem`, beside its key. With -1 days it has expired."""
    certificate, request = ca.with_name(f"{name}.pem"), ca.with_name(f"{name}.csr")
    lock = ["-passout", f"pass:{password}"] if password else ["-noenc"]
    names = ["-subj", f"/CN={name}", "-addext", f"subjectAltName={hosts}"]
    openssl("req", *FAST, *lock, "-keyout", ca.with_name(f"{name}.key"), "-out", request, *names)
    by: list[str | Path] = ["-CA", ca, "-CAkey", ca.with_suffix(".key"), "-copy_extensions", "copy", "-days", str(days)]
    openssl("x509", "-req", "-in", request, *by, "-out", certificate)
    return certificate
