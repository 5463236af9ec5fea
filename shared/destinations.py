"""Where a request may go: what the configuration names, and nothing that a name leads to behind the operator's back.

An address that is written down is meant, on a private network too. A name is believed only as far as the public
network: one that turns to an address of this machine's own networks (DNS rebinding) is refused, unless the operator
has said that it lives there. What cloud providers serve machine credentials on is refused in every form.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from yarl import URL

Address = IPv4Address | IPv6Address

PUBLIC_HTTP = "http is for addresses and names of your own networks; write https, or set allow_private: true"

_NAT64 = ip_network("64:ff9b::/96")
# What answers with credentials of the machine, beside the link-local addresses: Alibaba, Azure, Oracle, and over IPv6
# Amazon and Google.
_METADATA = frozenset(
    map(ip_address, ("100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254", "fd20:ce::254"))
)
# What resolvers take for an IPv4 address that is not four plain numbers: 2130706433, 0x7f.1, 0177.0.0.1, 127.1.
_SHORT_ADDRESS = re.compile(r"(?:.*\.)?(?:0x[0-9a-f]*|[0-9]+)", re.IGNORECASE)


def check_url(url: str, *, allow_private: bool) -> None:
    """Return when requests may be sent to `url`, whatever its name resolves to.

    Raises:
        ValueError: they may not; says why, and never repeats the URL, which may hold a token.
    """
    if not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        raise ValueError("a URL is written in ASCII without spaces and backslashes")
    try:
        parts = URL(url)  # the very parser of the client that sends
        host, port = (parts.host or "").removesuffix("."), parts.port
    except ValueError:
        raise ValueError("not a URL: its host or port cannot be read") from None
    if parts.scheme not in ("http", "https"):
        raise ValueError("a URL begins with https:// or http://")
    if "@" in parts.raw_authority:
        raise ValueError("a URL holds no user and no password; a receiver knows us by `secret`")
    if not host or not port:
        raise ValueError("not a URL: its host or port cannot be read")
    address = _literal(host)
    if address is not None and is_forbidden(address):
        raise ValueError("no receiver has this address: it is link-local, multicast, reserved, or a metadata service's")
    if parts.scheme == "http" and not allow_private and not _is_near(host, address):
        raise ValueError(PUBLIC_HTTP)


def may_connect(host: str, address: str, *, allow_private: bool) -> bool:
    """Tell whether `host`, a name that passed `check_url`, may be reached at an address that it resolved to."""
    found = _inner(ip_address(address.partition("%")[0]))
    if is_forbidden(found):
        return False
    if _is_localhost(host):
        return found.is_loopback
    return allow_private or found.is_global


def is_forbidden(address: Address) -> bool:
    """Tell whether no receiver can have an address, or it is one that a machine's credentials are served on."""
    found = _inner(address)
    if found in _METADATA:
        return True
    if found.is_loopback:
        return False
    return found.is_link_local or found.is_multicast or found.is_unspecified or found.is_reserved


def _literal(host: str) -> Address | None:
    try:
        return ip_address(host)
    except ValueError:
        if _SHORT_ADDRESS.fullmatch(host) or ":" in host:
            raise ValueError("an address is written as four numbers, or in brackets if it is of IPv6") from None
        return None


def _is_near(host: str, address: Address | None) -> bool:
    return _is_localhost(host) if address is None else not _inner(address).is_global


def _is_localhost(host: str) -> bool:
    name = host.lower().removesuffix(".")
    return name == "localhost" or name.endswith(".localhost")


def _inner(address: Address) -> Address:
    """Return the IPv4 address inside one of IPv6 that leads to it, else the address."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address
