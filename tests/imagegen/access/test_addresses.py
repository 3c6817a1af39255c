import pytest
from django.core.checks import run_checks
from django.test import RequestFactory

from imagegen.access.addresses import client_address
from imagegen.access.checks import check_login_attempts, check_trusted_proxies


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("198.51.100.7", "", "198.51.100.7"),
        ("198.51.100.7", "203.0.113.9", "198.51.100.7"),  # a stranger's word counts for nothing
        ("10.0.0.1", "203.0.113.9", "203.0.113.9"),
        (
            "10.0.0.1",
            "1.1.1.1, 203.0.113.9, 10.9.9.9",
            "203.0.113.9",
        ),  # what the client wrote first is its own
        ("192.0.2.5", "2001:db8::1", "2001:db8::"),  # one /64, one client
        ("2001:db8:1:2:3:4:5:6", "", "2001:db8:1:2::"),
        ("10.0.0.1", "10.2.2.2", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.9, nonsense", "10.0.0.1"),
        ("10.0.0.1", "' OR 1=1", "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("::ffff:10.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("fe80::1%eth0", "", "fe80::"),
        ("", "203.0.113.9", "0.0.0.0"),
    ],
)
def test_only_a_trusted_proxy_is_believed(settings, peer, forwarded, address):
    settings.EASEL_TRUSTED_PROXIES = ["10.0.0.0/8", "192.0.2.5"]
    request = RequestFactory().get("/", REMOTE_ADDR=peer, HTTP_X_FORWARDED_FOR=forwarded)
    assert client_address(request) == address


def test_without_proxies_the_header_is_not_read(settings):
    settings.EASEL_TRUSTED_PROXIES = []
    request = RequestFactory().get("/", REMOTE_ADDR="10.0.0.1", HTTP_X_FORWARDED_FOR="203.0.113.9")
    assert client_address(request) == "10.0.0.1"


def test_a_mistyped_proxy_is_found_at_the_start(settings):
    settings.EASEL_TRUSTED_PROXIES = ["10.0.0.0/8"]
    assert check_trusted_proxies() == []
    settings.EASEL_TRUSTED_PROXIES = ["10.0.0.0/33"]
    assert [error.id for error in check_trusted_proxies()] == ["access.E001"]


def test_no_attempts_at_all_is_found_at_the_start(settings):
    assert check_login_attempts() == []
    settings.AXES_FAILURE_LIMIT = 0
    assert "access.E002" in [error.id for error in run_checks()]
