"""Where requests may go: every form that an address can hide in."""

from __future__ import annotations

import re

import pytest

from shared.destinations import PUBLIC_HTTP, check_url, may_connect

SCHEME = "a URL begins with https:// or http://"
NOBODY = "no receiver has this address: it is link-local, multicast, reserved, or a metadata service's"
SHORT = "an address is written as four numbers, or in brackets if it is of IPv6"
USER = "a URL holds no user and no password; a receiver knows us by `secret`"
UNREADABLE = "not a URL: its host or port cannot be read"
ASCII = "a URL is written in ASCII without spaces and backslashes"


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.example.org/driftline?token=1",
        "https://hooks.example.org:8443/",
        "https://93.184.216.34/",
        "https://10.1.2.3/retrain",
        "https://[2606:2800:220:1::1]/",
        "http://127.0.0.1:9999/retrain",
        "http://[::1]:9999/retrain",
        "http://[::ffff:127.0.0.1]/",
        "http://localhost:8080/",
        "http://LOCALHOST./",
        "http://10.1.2.3/",
        "http://192.168.0.7:8080/",
        "http://[fd12:3456::1]/",
        "https://1password.example/",
        "https://0xcafe.example/",
    ],
)
def test_a_receiver_that_an_operator_may_name(url: str) -> None:
    check_url(url, allow_private=False)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("file:///etc/passwd", SCHEME),
        ("gopher://127.0.0.1:6379/_FLUSHALL", SCHEME),
        ("ftp://example.org/", SCHEME),
        ("//example.org/", SCHEME),
        ("https:///hook", UNREADABLE),
        ("https://example.org:port/", UNREADABLE),
        ("https://example.org:99999/", UNREADABLE),
        ("https://[::1/", UNREADABLE),
        ("https://user@example.org/", USER),
        ("https://user:hunter2@example.org/", USER),
        ("https://example.org:443@169.254.169.254/", USER),
        ("https://example.org\\@169.254.169.254/", ASCII),
        ("https://example.org/\r\nHost: other", ASCII),
        ("https://exämple.org/", ASCII),
        ("https://exa mple.org/", ASCII),
        ("http://example.org/", PUBLIC_HTTP),
        ("http://93.184.216.34/", PUBLIC_HTTP),
        ("http://orchestrator.internal/", PUBLIC_HTTP),
        ("http://localhost.example.org/", PUBLIC_HTTP),
        ("https://169.254.169.254/latest/meta-data/", NOBODY),
        ("https://[::ffff:169.254.169.254]/", NOBODY),
        ("https://[::ffff:a9fe:a9fe]/", NOBODY),
        ("https://[64:ff9b::169.254.169.254]/", NOBODY),
        ("https://[2002:a9fe:a9fe::]/", NOBODY),
        ("https://[fe80::1%25eth0]/", NOBODY),
        ("https://[fd00:ec2::254]/", NOBODY),
        ("https://100.100.100.200/", NOBODY),
        ("https://0.0.0.0/", NOBODY),
        ("https://[::]/", NOBODY),
        ("https://224.0.0.1/", NOBODY),
        ("https://255.255.255.255/", NOBODY),
        ("https://2852039166/", SHORT),
        ("https://0xa9fea9fe/", SHORT),
        ("https://0xa9.0xfe.0xa9.0xfe/", SHORT),
        ("https://0251.0376.0251.0376/", SHORT),
        ("https://169.254.43518/", SHORT),
        ("https://127.1/", SHORT),
        ("https://127.0.0.1.0/", SHORT),
        ("https://169.254.169.254./", NOBODY),
    ],
)
def test_what_no_request_is_sent_to(url: str, why: str) -> None:
    with pytest.raises(ValueError, match=rf"^{re.escape(why)}$"):
        check_url(url, allow_private=False)


@pytest.mark.parametrize("url", ["http://orchestrator.internal:8080/", "http://airflow.default.svc/"])
def test_a_name_of_ones_own_network_may_be_named_when_that_is_said(url: str) -> None:
    check_url(url, allow_private=True)


@pytest.mark.parametrize(
    ("url", "why"),
    [("http://169.254.169.254/", NOBODY), ("http://2852039166/", SHORT), ("http://user:pw@orchestrator/", USER)],
)
def test_what_is_refused_whatever_is_said(url: str, why: str) -> None:
    with pytest.raises(ValueError, match=rf"^{re.escape(why)}$"):
        check_url(url, allow_private=True)


@pytest.mark.parametrize(
    ("host", "address", "without", "with_private"),
    [
        ("example.org", "93.184.216.34", True, True),
        ("example.org", "2606:2800:220:1::1", True, True),
        ("example.org", "64:ff9b::5db8:d822", True, True),
        ("example.org", "10.1.2.3", False, True),
        ("example.org", "172.16.0.1", False, True),
        ("example.org", "192.168.1.1", False, True),
        ("example.org", "100.64.0.1", False, True),
        ("example.org", "127.0.0.1", False, True),
        ("example.org", "::1", False, True),
        ("example.org", "fd00::1", False, True),
        ("example.org", "::ffff:10.1.2.3", False, True),
        ("example.org", "64:ff9b::a01:203", False, True),
        ("example.org", "169.254.169.254", False, False),
        ("example.org", "::ffff:169.254.169.254", False, False),
        ("example.org", "fe80::1%eth0", False, False),
        ("example.org", "fd00:ec2::254", False, False),
        ("example.org", "168.63.129.16", False, False),
        ("example.org", "0.0.0.0", False, False),  # noqa: S104 - not bound to
        ("example.org", "ff02::1", False, False),
        ("localhost", "127.0.0.1", True, True),
        ("api.localhost.", "::1", True, True),
        ("localhost", "93.184.216.34", False, False),
    ],
)
def test_what_a_name_may_turn_out_to_be(host: str, address: str, without: bool, with_private: bool) -> None:
    assert may_connect(host, address, allow_private=False) == without
    assert may_connect(host, address, allow_private=True) == with_private
