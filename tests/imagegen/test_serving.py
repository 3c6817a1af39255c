import datetime

import pytest
from django.core.files.base import ContentFile
from django.http import Http404
from django.test import RequestFactory
from django.utils import timezone

from imagegen.models import ImageFile
from imagegen.serving import serve

pytestmark = pytest.mark.django_db  # a response that is closed ends a request, which looks at connections

DATA = bytes(range(256)) * 600  # more than two pieces


@pytest.fixture
def make(tmp_path, settings):
    settings.MEDIA_ROOT = tmp_path

    def make(data: bytes = DATA, **fields) -> ImageFile:
        described = {"name": "picture.png", "content_type": "image/png", "sha256": "ab" * 32}
        file = ImageFile(**(described | fields), size=len(data))
        file.file.save("picture.png", ContentFile(data), save=False)
        return file

    return make


@pytest.fixture
def file(make):
    return make()


ETAG = f'"{"ab" * 32}"'


def ask(file, method="get", download=False, **headers):
    request = getattr(RequestFactory(), method)("/", headers=headers)
    response = serve(request, file, download=download)
    if response.streaming:
        response.body = b"".join(response.streaming_content)
        response.close()
    else:
        response.body = response.content
    return response


def test_the_whole(file):
    response = ask(file)
    assert (response.status_code, response.body) == (200, DATA)
    assert dict(response.headers) == {
        "Content-Type": "image/png",
        "Content-Length": str(len(DATA)),
        "Content-Disposition": 'inline; filename="picture.png"',
        "ETag": ETAG,
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, max-age=31536000, immutable",
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'; sandbox",
    }


@pytest.mark.parametrize("headers", [{}, {"range": "bytes=0-9"}])
def test_head_is_get_without_a_body_and_knows_no_ranges(file, headers):
    response = ask(file, "head", **headers)
    assert (response.status_code, response.body) == (200, b"")
    assert response.headers == ask(file).headers


@pytest.mark.parametrize("method", ["get", "head"])
@pytest.mark.parametrize("condition", [ETAG, f"W/{ETAG}", f'"other", {ETAG}', "*"])
def test_not_modified(file, method, condition):
    response = ask(file, method, **{"if-none-match": condition})
    assert (response.status_code, response.body) == (304, b"")
    assert response.headers["ETag"] == ETAG
    assert response.headers["Cache-Control"] == "private, max-age=31536000, immutable"
    assert "Content-Length" not in response.headers


def test_not_modified_comes_before_a_range(file):
    assert ask(file, **{"if-none-match": ETAG, "range": "bytes=0-9"}).status_code == 304


@pytest.mark.parametrize("condition", ['"other"', "nonsense", ""])
def test_modified(file, condition):
    assert ask(file, **{"if-none-match": condition}).status_code == 200


LAST = len(DATA) - 1


@pytest.mark.parametrize(
    ("wanted", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=0-99", 0, 99),
        ("bytes=100-", 100, LAST),
        ("bytes=-100", LAST - 99, LAST),
        (f"bytes=-{10**12}", 0, LAST),
        (f"bytes={LAST}-", LAST, LAST),
        (f"bytes=1-{10**12}", 1, LAST),
        ("bytes=65530-65545", 65530, 65545),  # across two pieces
        ("Bytes=0-9", 0, 9),
        (" bytes=0-9 ", 0, 9),
    ],
)
def test_a_range(file, wanted, first, last):
    response = ask(file, range=wanted)
    assert (response.status_code, response.body) == (206, DATA[first : last + 1])
    assert response.headers["Content-Range"] == f"bytes {first}-{last}/{len(DATA)}"
    assert response.headers["Content-Length"] == str(last - first + 1)
    assert response.headers["Content-Type"] == "image/png"
    assert response.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    "wanted",
    [
        *("", "nonsense", "bytes", "bytes=1", "bytes=-", "bytes=--5", "bytes=a-b", "lines=0-9"),
        *("bytes=9-0", "bytes=0-9,20-29", "bytes=0x0-9", "bytes=٠-٩", f"bytes=0-{'9' * 5000}"),
    ],
)
def test_what_is_not_one_range_gets_the_whole(file, wanted):
    response = ask(file, range=wanted)
    assert (response.status_code, len(response.body)) == (200, len(DATA))
    assert "Content-Range" not in response.headers


@pytest.mark.parametrize("wanted", [f"bytes={len(DATA)}-", f"bytes={10**14}-{10**14}", "bytes=-0"])
def test_beyond_the_end(file, wanted):
    response = ask(file, range=wanted)
    assert (response.status_code, response.body) == (416, b"")
    assert response.headers["Content-Range"] == f"bytes */{len(DATA)}"


@pytest.mark.parametrize(
    ("condition", "status"),
    [
        (ETAG, 206),
        (f"W/{ETAG}", 200),
        ('"other"', 200),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 200),
        ("", 200),
    ],
)
def test_a_range_only_of_what_the_client_has(file, condition, status):
    response = ask(file, **{"range": "bytes=0-9", "if-range": condition})
    assert (response.status_code, len(response.body)) == (status, 10 if status == 206 else len(DATA))


def test_nothing_at_all(make):
    empty = make(b"")
    assert (ask(empty).status_code, ask(empty).headers["Content-Length"]) == (200, "0")
    for wanted in ("bytes=0-", "bytes=0-0", "bytes=-1"):
        assert ask(empty, range=wanted).status_code == 416


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("a.png", 'filename="a.png"'),
        ('a"; filename="evil.html', r'filename="a\"; filename=\"evil.html"'),
        ("a\\b.png", r'filename="a\\b.png"'),
        ("a.png\r\nSet-Cookie: a=b", 'filename="a.pngSet-Cookie: a=b"'),
        ("a.png\n", 'filename="a.png"'),
        ("a\0b\tc\x7f.png", 'filename="abc.png"'),
        ("Bär.png", "filename*=utf-8''B%C3%A4r.png"),
        ("日本.png\r\n", "filename*=utf-8''%E6%97%A5%E6%9C%AC.png"),
    ],
)
def test_a_name_stays_inside_its_header(make, name, shown):
    file = make(name=name)
    assert ask(file).headers["Content-Disposition"] == f"inline; {shown}"
    assert ask(file, download=True).headers["Content-Disposition"] == f"attachment; {shown}"


def test_no_name(make):
    assert ask(make(name="")).headers["Content-Disposition"] == "inline"
    assert ask(make(name="\n"), download=True).headers["Content-Disposition"] == "attachment"


@pytest.mark.parametrize(("seconds", "least", "most"), [(3600, 3500, 3600), (-5, 0, 0)])
def test_what_expires_is_cached_no_longer(make, seconds, least, most):
    file = make(expires_at=timezone.now() + datetime.timedelta(seconds=seconds))
    private, age, immutable = ask(file).headers["Cache-Control"].split(", ")
    assert (private, immutable) == ("private", "immutable")
    assert least <= int(age.removeprefix("max-age=")) <= most


@pytest.mark.parametrize(("method", "headers"), [("get", {}), ("head", {}), ("get", {"range": "bytes=0-9"})])
def test_bytes_that_are_gone(file, method, headers):
    file.file.storage.delete(file.file.name)
    with pytest.raises(Http404):
        ask(file, method, **headers)
