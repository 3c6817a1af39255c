from __future__ import annotations

import io
import struct
import tempfile
import uuid
import zlib
from datetime import timedelta
from urllib.parse import urlsplit

import pybase64
import pytest
from django.contrib.auth.models import Permission, User
from django.core.files.base import ContentFile
from django.utils import timezone
from PIL import Image
from rest_framework.exceptions import NotFound

from imagegen import sources
from imagegen.engines import addresses
from imagegen.errors import InvalidRequest
from imagegen.models import EngineConnection, ImageFile
from imagegen.sources import NO_PICTURE, Inline, Link, NoSuchFile, Stored, Unusable, parse, read_sources
from tests.fakes import server as faults
from tests.fakes.server import FakeServer, Response, picture

FORMATS = ("PNG", "JPEG", "WEBP", "GIF")
PNG = picture(40, 30)


def data_uri(data: bytes, claim: str = "image/png") -> str:
    return f"data:{claim};base64,{pybase64.b64encode(data).decode()}"


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width: int, height: int, pixels: bytes) -> bytes:
    """A PNG whose checksums are right, whatever its pixels are."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(pixels))
        + chunk(b"IEND", b"")
    )


def store(owner: User | None, data: bytes = PNG, **fields) -> ImageFile:
    row = ImageFile(
        owner=owner,
        name="a.png",
        content_type="image/png",
        width=40,
        height=30,
        native_width=40,
        native_height=30,
        size=len(data),
        sha256="0" * 64,
    )
    for name, value in fields.items():
        setattr(row, name, value)
    row.file.save("a.png", ContentFile(data), save=False)
    row.save()
    return row


@pytest.fixture
def read(member):
    """Read sources as the member."""

    def run(*images: str, mask: str | None = None, user: User = member) -> sources.Sources:
        return read_sources(images=images, mask=mask, user=user)

    return run


@pytest.fixture
def refused(read):
    """The field and the reason of a refusal."""

    def run(*images: str, mask: str | None = None) -> tuple[str, str]:
        with pytest.raises(InvalidRequest) as caught:
            read(*images, mask=mask)
        return caught.value.field, caught.value.message

    return run


class Pictures(FakeServer):
    """Somewhere on the internet."""

    answer = Response(200, PNG, {"content-type": "image/png"})

    def reply(self, request):
        return self.answer

    @property
    def public_url(self) -> str:
        return "http://pictures.example"


@pytest.fixture
def internet(monkeypatch, tmp_path):
    """A server that counts as public as http://pictures.example; temporary files are in `tmp_path`."""
    hosts = {"pictures.example": "127.0.0.1", "intranet.example": "10.1.2.3"}
    judge = addresses.is_public

    def lookup(host, port):
        if host == "nowhere.example":
            raise OSError("no such host")
        port = urlsplit(running.url).port if host == "pictures.example" else port
        return [(hosts.get(host, host), port)]

    def is_public(address):
        return address == "127.0.0.1" or judge(address)

    monkeypatch.setattr(addresses, "lookup", lookup)
    monkeypatch.setattr(addresses, "is_public", is_public)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with Pictures() as running:
        yield running


class TestKinds:
    ID = uuid.UUID("0b5e6a52-7d0c-4b0e-9a44-6c1d3f0a7e21")

    @pytest.mark.parametrize(
        "text",
        [
            str(ID),
            str(ID).upper(),
            f"/api/v1/files/{ID}/content",
            f"/api/v1/files/{ID}/content?download=1",
            f"http://testserver/api/v1/files/{ID}/content",
            f"HTTP://TestServer:80/api/v1/files/{ID}/content",
        ],
    )
    def test_stored(self, text):
        assert parse(text) == Stored(self.ID)

    def test_this_server_under_a_path(self, settings):
        settings.EASEL_PUBLIC_URL = "https://easel.example/easel"
        assert parse(f"https://easel.example/easel/api/v1/files/{self.ID}/content") == Stored(self.ID)
        elsewhere = f"https://easel.example/api/v1/files/{self.ID}/content"
        assert parse(elsewhere) == Link(elsewhere)

    @pytest.mark.parametrize(
        "url",
        [
            "https://pictures.example/a.png?b=c#d",
            "HTTP://pictures.example",
            f"https://testserver/api/v1/files/{ID}/content",
            f"http://testserver.example/api/v1/files/{ID}/content",
            f"http://testserver:8080/api/v1/files/{ID}/content",
        ],
    )
    def test_link(self, url):
        assert parse(url) == Link(url)

    @pytest.mark.parametrize("head", ["data:image/png;base64,", "DATA:;BASE64,", "data:a/b;c=d;base64,"])
    def test_inline(self, head):
        inline = parse(head + "AAEC")
        assert isinstance(inline, Inline)
        assert inline.read() == b"\0\1\2"

    @pytest.mark.parametrize("length", range(7))
    def test_the_size_is_known_before_decoding(self, length):
        inline = parse(data_uri(bytes(length)))
        assert isinstance(inline, Inline)
        assert inline.size == length == len(inline.read())

    @pytest.mark.parametrize(
        "text",
        [
            "",
            " ",
            "cat.png",
            "/etc/passwd",
            "file:///etc/passwd",
            "ftp://pictures.example/a.png",
            "data:",
            "data:image/png;base64",
            "data:image/png,AAEC",
            "data:image/png;base64;,AAEC",
            "data:" + "x" * 300 + ";base64,AAEC",
            "data" + "A" * 100_000,
            "http://",
            "http:///a.png",
            "http://user@pictures.example/a.png",
            "http://pictures.example/a b.png",
            "http://pictures.example:99999/",
            "http://2130706433/a.png",
            "http://0x7f.1/a.png",
            "http://0177.0.0.1/a.png",
            "http://127.1/a.png",
            "http://[::1/a.png",
            "http://testserver/api/auth/keys",
            f"/api/v1/files/{ID}",
            f"/api/v1/files/{ID}/thumbnail",
            f"//pictures.example/api/v1/files/{ID}/content",
        ],
    )
    def test_unusable(self, text):
        with pytest.raises(Unusable) as caught:
            parse(text)
        reason = str(caught.value)
        assert reason.endswith(".") and len(reason) < 150

    @pytest.mark.parametrize("name", ["x", "..", "%2e%2e", "0"])
    def test_a_content_path_of_no_file(self, name):
        with pytest.raises(NoSuchFile):
            parse(f"/api/v1/files/{name}/content")


class TestPictures:
    @pytest.mark.parametrize("format", FORMATS)
    def test_what_it_claims_to_be_does_not_count(self, read, format):
        data = picture(40, 30, format)
        for claim in ("", "text/html", "image/png", "image/gif"):
            (image,) = read(data_uri(data, claim)).images
            assert opened(image).format == ("PNG" if format == "GIF" else format)
            assert opened(image).size == (40, 30)

    def test_they_keep_their_order(self, read):
        images = read(*(data_uri(picture(width, 10)) for width in range(10, 26))).images
        assert [opened(image).width for image in images] == list(range(10, 26))

    def test_they_are_upright_and_say_nothing_of_where_they_were_taken(self, read):
        exif = Image.Exif()
        exif[0x0112] = 6
        exif[0x010F] = "Secret camera"
        out = io.BytesIO()
        sideways = Image.new("RGB", (40, 30), "black")
        sideways.paste("white", (0, 0, 20, 30))
        sideways.save(out, "JPEG", exif=exif, comment=b"Secret place")
        (image,) = read(data_uri(out.getvalue())).images
        upright = opened(image)
        assert b"Secret" not in image
        assert upright.size == (30, 40)
        assert upright.getpixel((15, 5)) > (250, 250, 250)
        assert upright.getpixel((15, 35)) < (5, 5, 5)

    def test_a_moving_picture_becomes_its_first_frame(self, read):
        out = io.BytesIO()
        frames = [Image.new("RGB", (40, 30), colour) for colour in ("red", "blue", "lime")]
        frames[0].save(out, "GIF", save_all=True, append_images=frames[1:], duration=50)
        (image,) = read(data_uri(out.getvalue())).images
        still = opened(image)
        assert still.format == "PNG"
        assert getattr(still, "n_frames", 1) == 1
        assert still.convert("RGB").getpixel((5, 5)) == (255, 0, 0)

    @pytest.mark.parametrize(
        "data",
        [
            b"",
            b"hello",
            b"<svg xmlns='http://www.w3.org/2000/svg'/>",
            b"%PDF-1.7",
            b"\x89PNG\r\n\x1a\n",
            picture(40, 30, "BMP"),
            picture(40, 30, "TIFF"),
            PNG[: len(PNG) // 2],
            picture(40, 30, "JPEG")[:-200],
            picture(40, 30, "WEBP")[:-10],
            png(40, 30, b"too few pixels"),
        ],
    )
    def test_no_pictures(self, refused, data):
        field, reason = refused(data_uri(data))
        assert field == "image"
        assert reason in ("Not a PNG, JPEG, WebP or GIF picture.", "The picture is damaged.")

    @pytest.mark.parametrize("edge", [7_000, 15_000, 60_000])
    def test_bombs(self, refused, edge):
        """49, 225 and 3,600 megapixels in a few bytes."""
        assert refused(data_uri(png(edge, edge, b""))) == (
            "image",
            "The picture has more than 40 megapixels.",
        )

    def test_forty_megapixels_and_no_more(self, read, refused, monkeypatch):
        monkeypatch.setattr(sources, "MAX_PIXELS", 1_000_000)
        assert read(data_uri(picture(1000, 1000))).images
        assert refused(data_uri(picture(1000, 1001)))[1] == "The picture has more than 1 megapixels."

    @pytest.mark.parametrize("payload", ["AAE", "AA=C", "AA\nEC", "AA-_", "%41AEC", "äöü=", "A"])
    def test_bad_base64(self, refused, payload):
        assert refused(f"data:image/png;base64,{payload}") == (
            "image",
            "This data: URI is not valid base64.",
        )

    def test_the_reason_names_the_picture_when_there_are_several(self, refused):
        good, bad = data_uri(PNG), data_uri(b"hello")
        assert refused(good, bad)[1] == "picture 2: Not a PNG, JPEG, WebP or GIF picture."
        assert refused(good, good, "cat.png")[1].startswith("picture 3: Must be a data: URI")
        assert not refused(bad)[1].startswith("picture")


class TestSizes:
    @pytest.fixture(autouse=True)
    def limits(self, monkeypatch):
        monkeypatch.setattr(sources, "MAX_BYTES", 2 * 1024**2)
        monkeypatch.setattr(sources, "MAX_BYTES_TOGETHER", 5 * 1024**2)

    @staticmethod
    def heavy(size: int) -> bytes:
        """A valid PNG of this many bytes: what its pixels do not need is in a chunk that is dropped."""
        start, end = PNG[:-12], PNG[-12:]
        return start + chunk(b"teST", bytes(size - len(PNG) - 12)) + end

    def test_of_one(self, read, refused, monkeypatch):
        assert read(data_uri(self.heavy(2 * 1024**2))).images == [PNG]
        monkeypatch.setattr(pybase64, "b64decode", None)  # it would not get that far
        assert refused(data_uri(self.heavy(2 * 1024**2 + 1)))[1] == "The picture is larger than 2 MB."

    def test_together(self, read, refused):
        heavy = data_uri(self.heavy(1024**2))
        assert len(read(*[heavy] * 5).images) == 5
        field, reason = refused(*[heavy] * 5, data_uri(PNG))
        assert (field, reason) == ("image", "picture 6: The pictures are more than 5 MB together.")
        assert refused(*[heavy] * 5, mask=data_uri(PNG)) == (
            "mask",
            "The pictures are more than 5 MB together.",
        )

    def test_of_a_file(self, refused, member):
        assert refused(str(store(member, size=2 * 1024**2 + 1).pk))[1] == "The picture is larger than 2 MB."

    def test_of_what_a_url_leads_to(self, read, refused, internet):
        internet.answer = Response(200, self.heavy(2 * 1024**2))
        assert read(f"{internet.public_url}/a.png").images == [PNG]
        internet.answer = Response(200, self.heavy(2 * 1024**2 + 1))
        assert refused(f"{internet.public_url}/a.png")[1] == NO_PICTURE


class TestMask:
    def test_is_read_like_a_picture(self, read):
        read_in = read(data_uri(PNG), mask=data_uri(picture(40, 30, "GIF"), "text/plain"))
        assert read_in.images == [PNG]
        assert opened(read_in.mask).format == "PNG"

    def test_has_the_size_of_the_first_picture(self, read, refused):
        first, second = data_uri(PNG), data_uri(picture(50, 30))
        assert read(first, second, mask=first).mask == PNG
        assert refused(first, second, mask=second) == (
            "mask",
            "Must have the size of the first picture, 40x30; it has 50x30.",
        )

    @pytest.mark.parametrize("bad", ["cat.png", "data:;base64,AAA", "data:;base64,AAEC"])
    def test_bad_ones_are_named(self, refused, bad):
        assert refused(data_uri(PNG), mask=bad)[0] == "mask"


class TestFiles:
    def test_ones_own_by_any_name(self, read, member):
        path = f"/api/v1/files/{store(member).pk}/content"
        assert read(str(store(member).pk), path, f"http://testserver{path}").images == [PNG] * 3

    def test_others_unknown_and_expired_ones_are_not_found(self, read, member, other):
        expired = store(member, expires_at=timezone.now() - timedelta(seconds=1))
        for pk in (store(other).pk, store(None).pk, expired.pk, uuid.uuid4(), "x"):
            with pytest.raises(NotFound) as caught:
                read(data_uri(PNG), f"/api/v1/files/{pk}/content")
            assert str(caught.value.detail) == "image: picture 2: There is no such file."
        with pytest.raises(NotFound, match="mask: There is no such file"):
            read(data_uri(PNG), mask=str(store(other).pk))

    def test_whoever_may_see_others_may_use_them(self, read, other):
        viewer = User.objects.create_user("cleo")
        viewer.user_permissions.add(Permission.objects.get(codename="view_others_pictures"))
        assert read(str(store(other).pk), user=viewer).images == [PNG]

    def test_bytes_that_are_gone(self, read, member):
        file = store(member)
        file.file.storage.delete(file.file.name)
        with pytest.raises(NotFound):
            read(str(file.pk))

    def test_sixteen_cost_one_query(self, read, member, django_assert_num_queries):
        member.has_perm("imagegen.view_others_pictures")  # the view has asked for a permission before
        files = [str(store(member).pk) for _ in range(16)]
        with django_assert_num_queries(1):
            assert len(read(*files).images) == 16

    def test_all_are_looked_for_before_anything_is_fetched(self, read, other, internet):
        with pytest.raises(NotFound):
            read(f"{internet.public_url}/a.png", str(store(other).pk))
        assert not internet.requests


class TestLinks:
    @pytest.fixture(autouse=True)
    def nothing_stays(self, internet, tmp_path):
        yield
        assert list(tmp_path.iterdir()) == []

    def test_good(self, read, internet):
        assert read(f"{internet.public_url}/a.png?size=big#top").images == [PNG]
        (request,) = internet.requests
        assert (request.method, request.path, request.query) == ("GET", "/a.png", {"size": ["big"]})
        assert {"authorization", "cookie", "referer"}.isdisjoint(request.headers)

    def test_what_the_answer_claims_to_be_does_not_count(self, read, refused, internet):
        internet.answer = Response(200, PNG, {"content-type": "text/html"})
        assert read(f"{internet.public_url}/a.html").images == [PNG]
        internet.answer = Response(200, b"<html>", {"content-type": "image/png"})
        assert refused(f"{internet.public_url}/a.png")[1] == "Not a PNG, JPEG, WebP or GIF picture."

    def test_a_redirect_in_public(self, read, internet):
        urls = iter([Response(302, b"", {"location": "/b.png"}), internet.answer])
        internet.reply = lambda request: next(urls)
        assert read(f"{internet.public_url}/a.png").images == [PNG]

    @pytest.mark.parametrize(
        "url",
        [
            "http://127.0.0.2/a.png",
            "http://10.1.2.3/a.png",
            "http://192.168.0.1/a.png",
            "http://169.254.169.254/latest/meta-data/",
            "http://100.64.0.1/",
            "http://0.0.0.0/",
            "http://[::1]/a.png",
            "http://[fe80::1]/a.png",
            "http://[::ffff:10.1.2.3]/a.png",
            "http://intranet.example/a.png",
            "http://nowhere.example/a.png",
        ],
    )
    def test_hostile_and_dead_ones_give_one_reason(self, refused, url):
        assert refused(url) == ("image", NO_PICTURE)

    @pytest.mark.parametrize("to", ["http://10.1.2.3/", "http://intranet.example/", "file:///etc/passwd"])
    def test_a_redirect_inside(self, refused, internet, to):
        internet.fault = faults.redirect(to)
        assert refused(f"{internet.public_url}/a.png")[1] == NO_PICTURE

    @pytest.mark.parametrize(
        "fault",
        [
            faults.status(404),
            faults.status(401),
            faults.error_500,
            faults.error_html,
            faults.too_large,
            faults.gzip_bomb,
            faults.not_http,
            faults.cut_in_body,
            faults.redirect("/again.png"),
        ],
    )
    def test_faults(self, refused, internet, fault):
        internet.fault = fault
        assert refused(f"{internet.public_url}/a.png?token=hunter2")[1] == NO_PICTURE

    @pytest.mark.parametrize("fault", [faults.slow_headers, faults.slow_body, faults.silent])
    def test_time_is_limited(self, refused, internet, monkeypatch, fault):
        monkeypatch.setattr(sources, "FETCH_SECONDS", 0.3)
        internet.fault = fault
        assert refused(f"{internet.public_url}/a.png")[1] == "This URL took too long to answer."

    def test_all_urls_share_the_time(self, refused, internet, monkeypatch):
        monkeypatch.setattr(sources, "FETCH_SECONDS", 0.5)
        reply = internet.reply
        internet.reply = lambda request: (internet._stopping.wait(0.2), reply(request))[1]
        field, reason = refused(*[f"{internet.public_url}/a.png"] * 16)
        assert field == "image"
        assert reason.endswith("This URL took too long to answer.")
        assert len(internet.requests) <= 3

    def test_nothing_is_fetched_while_another_source_cannot_be_used(self, refused, internet):
        refused(f"{internet.public_url}/a.png", "cat.png")
        assert not internet.requests

    def test_no_database_connection_is_held_meanwhile(self, read, internet, monkeypatch):
        asked_when_released = []
        monkeypatch.setattr(
            sources, "release_connections", lambda: asked_when_released.append(len(internet.requests))
        )
        read(f"{internet.public_url}/a.png")
        assert asked_when_released == [0]
        assert len(internet.requests) == 1


def test_the_engines_own_server_is_not_exempt(refused):
    with Pictures() as engine:
        EngineConnection.objects.create(
            name="ours", engine="openai", base_url=engine.url, trusted_origins=[engine.url]
        )
        assert refused(f"{engine.url}/a.png") == ("image", NO_PICTURE)
        assert not engine.requests


def test_this_server_does_not_ask_itself_for_other_things(refused, settings):
    with Pictures() as itself:
        settings.EASEL_PUBLIC_URL = itself.url
        assert "content path" in refused(f"{itself.url}/api/auth/keys")[1]
        assert not itself.requests
