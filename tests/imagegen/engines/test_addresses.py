import time

import pytest

from imagegen.engines import addresses
from imagegen.engines.addresses import Forbidden, Target, is_metadata, is_public, lookup

HOSTILE_URLS = [
    # Not http.
    "",
    "/etc/passwd",
    "//example.com/x.png",
    "example.com/x.png",
    "file:///etc/passwd",
    "ftp://example.com/x.png",
    "gopher://127.0.0.1:6379/_FLUSHALL",
    "dict://127.0.0.1:11211/stats",
    "javascript:alert(1)",
    "data:image/png;base64,AAAA",
    "unix:///var/run/docker.sock",
    # Not what it seems.
    "http://user@example.com/",
    "http://user:secret@example.com/",
    "http://example.com@127.0.0.1/",
    "http://example.com:80@127.0.0.1/",
    "http://@example.com/",
    "http://example.com\\@127.0.0.1/",
    "http:\\\\127.0.0.1\\x.png",
    "http://127.0.0.1%00.example.com/",
    "http://exa mple.com/",
    "http://example.com/\r\nHost: 127.0.0.1",
    "http://example.com/\nx",
    "http://example.com/\x00",
    " http://127.0.0.1/",
    "http://[fe80::1%25eth0]/",
    "http://[fe80::1%eth0]/",
    "http://%6c%6f%63%61%6c%68%6f%73%74/",
    "http://example.com:0/",
    "http://example.com:65536/",
    "http://example.com:http/",
    "http:///x.png",
    "http://:80/",
    "http://[::1/",
    "http://[]/",
    "http://example.com/" + "x" * 9000,
    # 127.0.0.1 and others, in spellings that parsers disagree on.
    "http://2130706433/",
    "http://017700000001/",
    "http://0x7f000001/",
    "http://0x7f.1/",
    "http://127.1/",
    "http://127.0.1/",
    "http://0177.0.0.1/",
    "http://0x7f.0x0.0x0.0x1/",
    "http://127.0.0.01/",
    "http://0/",
    "http://1/",
    "http://3232235777/",
    "http://0xa9fea9fe/",
    "http://169.254.43518/",
    "http://127.0.0.1.0x7f/",
    "http://256.256.256.256/",
    "http://127.0.0.1./",
]


@pytest.mark.parametrize("url", HOSTILE_URLS)
def test_hostile_urls_are_refused_before_any_lookup(url, monkeypatch):
    monkeypatch.setattr(addresses, "lookup", lambda host, port: pytest.fail("was looked up"))
    with pytest.raises(Forbidden):
        Target.parse(url)


NOT_PUBLIC = [
    *("127.0.0.1", "127.255.255.254", "0.0.0.0", "0.1.2.3", "10.0.0.1", "172.16.0.1", "172.31.255.255"),
    *("192.168.1.1", "169.254.169.254", "169.254.170.2", "100.64.0.1", "100.100.100.200", "100.127.255.255"),
    *("192.0.0.1", "192.0.0.192", "192.0.2.1", "192.88.99.1", "198.18.0.1", "198.51.100.1", "203.0.113.1"),
    *("224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255", "168.63.129.16"),
    *("::", "::1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::127.0.0.1", "::8.8.8.8"),
    *("64:ff9b::7f00:1", "64:ff9b::808:808", "64:ff9b:1::1", "100::1", "2001::1", "2001:0:808:808::1"),
    *("2001:20::1", "2001:db8::1", "2002:7f00:1::", "2002:808:808::1", "3fff::1", "5f00::1"),
    *("fc00::1", "fd00:ec2::254", "fe80::1", "fec0::1", "ff02::1", "ff0e::1", "4000::1"),
]


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_addresses_that_are_not_public(address):
    assert not is_public(address)


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "2a00:1450::1"]
)
def test_public_addresses(address):
    assert is_public(address)


@pytest.mark.parametrize("address", NOT_PUBLIC)
@pytest.mark.parametrize("order", [1, -1])
def test_one_address_that_is_not_public_forbids_the_host(address, order, monkeypatch):
    answers = [("8.8.8.8", 443), (address, 443)][::order]
    monkeypatch.setattr(addresses, "lookup", lambda host, port: answers)
    target = Target.parse("https://pictures.example/x.png")
    with pytest.raises(Forbidden):
        addresses.addresses(target, public_only=True, timeout=5)
    if is_metadata(address):
        with pytest.raises(Forbidden):
            addresses.addresses(target, public_only=False, timeout=5)
    else:
        assert addresses.addresses(target, public_only=False, timeout=5) == answers


def test_public_addresses_are_handed_on_as_they_were_found(monkeypatch):
    answers = [("2606:4700::1111", 443, 0, 0), ("1.1.1.1", 443)]
    monkeypatch.setattr(addresses, "lookup", lambda host, port: answers)
    target = Target.parse("https://pictures.example/x.png")
    assert addresses.addresses(target, public_only=True, timeout=5) == answers


def test_a_lookup_that_hangs_ends_on_time(monkeypatch):
    monkeypatch.setattr(addresses, "lookup", lambda host, port: time.sleep(10))
    start = time.monotonic()
    with pytest.raises(TimeoutError):
        addresses.addresses(Target.parse("http://slow.example/"), public_only=True, timeout=0.2)
    assert time.monotonic() - start < 5


@pytest.mark.parametrize("failure", [OSError("no such host"), UnicodeError("label too long")])
def test_a_lookup_that_fails_is_an_oserror(failure, monkeypatch):
    def fail(host, port):
        raise failure

    monkeypatch.setattr(addresses, "lookup", fail)
    with pytest.raises(OSError):
        addresses.addresses(Target.parse("http://nowhere.example/"), public_only=True, timeout=5)


def test_the_system_is_asked_for_literal_addresses_too():
    assert lookup("127.0.0.1", 80) == [("127.0.0.1", 80)]


@pytest.mark.parametrize(
    ("url", "host", "port", "uri", "origin"),
    [
        ("https://Example.COM/a.png", "example.com", 443, "/a.png", "https://example.com"),
        ("https://example.com:443", "example.com", 443, "/", "https://example.com"),
        ("http://example.com:8080/a?b=c#d", "example.com", 8080, "/a?b=c", "http://example.com:8080"),
        ("http://[2606:4700::1111]:81/", "2606:4700::1111", 81, "/", "http://[2606:4700::1111]:81"),
        ("http://8.8.8.8/ä", "8.8.8.8", 80, "/%C3%A4", "http://8.8.8.8"),
        ("http://litellm:4000", "litellm", 4000, "/", "http://litellm:4000"),
        ("https://bücher.example/", "xn--bcher-kva.example", 443, "/", "https://xn--bcher-kva.example"),
        ("http://2.example/", "2.example", 80, "/", "http://2.example"),
    ],
)
def test_urls_taken_apart(url, host, port, uri, origin):
    target = Target.parse(url)
    assert (target.host, target.port, target.uri, target.origin) == (host, port, uri, origin)


@pytest.mark.parametrize("url", ["http://user:hunter2@example.com/", "http://127.1/?token=hunter2"])
def test_the_reason_repeats_no_secret(url):
    with pytest.raises(Forbidden) as caught:
        Target.parse(url)
    assert "hunter2" not in str(caught.value)
