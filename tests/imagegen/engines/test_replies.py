import time
from email.utils import formatdate

import pytest

from imagegen.engines.errors import (
    EngineUnavailable,
)
from imagegen.engines.replies import Reply, Scrub, refusal, retry_after

KEY = "sk-verysecret-0123456789"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "-5"}, 0),
        ({"retry-after": "1e9"}, 3600),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0),
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after-ms": "x", "retry-after": "9"}, 9),
    ],
)
def test_retry_after(headers, seconds):
    assert retry_after(headers) == seconds


def test_retry_after_a_date():
    wait = retry_after({"retry-after": formatdate(time.time() + 60, usegmt=True)})
    assert wait is not None
    assert 30 < wait <= 61


def test_a_password_is_scrubbed_however_it_was_sent():
    scrub = Scrub("someone:pass", "Basic c29tZW9uZTpwYXNz")
    assert scrub("was someone:pass or c29tZW9uZTpwYXNz") == "was *** or ***"


def test_details_are_one_line():
    assert Scrub()("a\r\nb\x00\x1b[31mc\u2028d") == "a b [31mc d"


def test_nothing_reaches_the_person_who_asked():
    reply = Reply(500, {}, f"{KEY} at http://10.1.2.3".encode())
    assert refusal(reply, Scrub(KEY)).message == EngineUnavailable.default_message
