"""Takes metadata off an encoded picture, and writes our own note into it, without touching its pixels.

Only what is needed to show the picture is copied: camera data, text, location, thumbnails, and whatever
follows the end of the picture stay behind. Sources: PNG third edition (W3C), JPEG (ITU T.81), WebP
container (RFC 9649); for the note XMP (ISO 16684-1; embedded as its part 3 says) and IPTC's Digital
Source Type vocabulary.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import islice
from xml.sax.saxutils import quoteattr

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_PIXELS = {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"}
_PNG_COLOURS = {b"sRGB", b"gAMA", b"cHRM", b"iCCP", b"sBIT", b"cICP"}
_PNG_KEPT = _PNG_PIXELS | _PNG_COLOURS
_PNG_BEHIND_PIXELS = {b"fdAT", b"IEND"}

_JPEG_STANDALONE = {0x01, *range(0xD0, 0xD9)}
_JPEG_SOS, _JPEG_EOI = 0xDA, 0xD9
_JPEG_APPS, _JPEG_COMMENT = range(0xE0, 0xF0), 0xFE
_JPEG_KEPT_APPS = {
    0xE0: re.compile(rb"JFIF\0.{7}\0\0", re.DOTALL),  # without a thumbnail
    0xE2: re.compile(rb"ICC_PROFILE\0.+", re.DOTALL),
    0xEE: re.compile(rb"Adobe.{7}", re.DOTALL),  # which colour transform
}
_JPEG_NEXT_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")

_WEBP_KEPT = {b"VP8X", b"ICCP", b"ALPH", b"VP8 ", b"VP8L"}
_VP8X_LENGTH = 10
_WEBP_FLAGS_DROPPED = 0x08 | 0x04  # EXIF, XMP


MOST_CHUNKS, MOST_SCANS = 100_000, 100


class Malformed(ValueError):
    """The file does not follow its format."""


def is_laborious(data: bytes) -> bool:
    """Whether a file has so many parts that looking at it takes minutes, whatever its size: a progressive
    JPEG decodes all of its pixels again for each scan, and each chunk of a PNG is handled by itself."""
    if data.startswith(PNG_SIGNATURE):
        with suppress(Malformed):
            return any(islice(_png_chunks(memoryview(data)), MOST_CHUNKS, None))
    return data.startswith(b"\xff\xd8") and data.count(b"\xff\xda") > MOST_SCANS


def strip_png(data: bytes) -> bytes:
    """`data` itself where nothing is to go. Chunks that go are looked at as well: one header, which is the
    first, then pixels, then the end; and the checksum of each.

    Raises Malformed.
    """
    kept, seen = [memoryview(PNG_SIGNATURE)], set[bytes]()
    for kind, chunk in _png_chunks(memoryview(data)):
        if (kind == b"IHDR") == bool(seen) or (kind in _PNG_BEHIND_PIXELS and b"IDAT" not in seen):
            raise Malformed("the chunks of the PNG are out of order")
        seen.add(kind)
        if not kind.isalpha() or zlib.crc32(chunk[4:-4]) != int.from_bytes(chunk[-4:], "big"):
            raise Malformed("a chunk of the PNG is damaged")
        if kind in _PNG_KEPT:
            kept.append(chunk)
    return data if sum(map(len, kept)) == len(data) else b"".join(kept)


def _png_chunks(data: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    position = len(PNG_SIGNATURE)
    kind = b""
    while kind != b"IEND":
        if position + 12 > len(data):
            raise Malformed("the PNG ends early")
        length, kind = struct.unpack_from(">I4s", data, position)
        end = position + 12 + length
        if end > len(data):
            raise Malformed("the PNG ends early")
        yield kind, data[position:end]
        position = end


def strip_jpeg(data: bytes) -> bytes:
    """Raises Malformed."""
    return b"\xff\xd8" + b"".join(_jpeg_kept(data))


def _jpeg_kept(data: bytes) -> Iterator[bytes]:
    position = 2
    while True:
        while data[position : position + 2] == b"\xff\xff":
            position += 1
        if position + 2 > len(data) or data[position] != 0xFF:
            raise Malformed("the JPEG ends early")
        marker = data[position + 1]
        if marker == _JPEG_EOI:
            yield b"\xff\xd9"
            return
        if marker in _JPEG_STANDALONE:
            position += 2
            continue
        if position + 4 > len(data):
            raise Malformed("the JPEG ends early")
        end = position + 2 + int.from_bytes(data[position + 2 : position + 4], "big")
        if marker == _JPEG_SOS:
            scan = _JPEG_NEXT_MARKER.search(data, end)
            if scan is None:
                raise Malformed("the JPEG ends early")
            end = scan.start()
        if _is_for_show(marker, data[position + 4 : end]):
            yield data[position:end]
        position = end


def _is_for_show(marker: int, content: bytes) -> bool:
    if marker in _JPEG_APPS:
        kept = _JPEG_KEPT_APPS.get(marker)
        return kept is not None and kept.fullmatch(content) is not None
    return marker != _JPEG_COMMENT


def strip_webp(data: bytes) -> bytes:
    """Raises Malformed."""
    kept = b"".join(_webp_kept(data))
    return b"RIFF" + struct.pack("<I", len(kept) + 4) + b"WEBP" + kept


def _webp_kept(data: bytes) -> Iterator[bytes]:
    position = 12
    stop = min(len(data), 8 + int.from_bytes(data[4:8], "little"))
    while position + 8 <= stop:
        kind, length = struct.unpack_from("<4sI", data, position)
        end = position + 8 + length + length % 2
        if position + 8 + length > stop or (kind == b"VP8X" and length < _VP8X_LENGTH):
            raise Malformed("the WebP ends early")
        chunk = data[position:end]
        if kind == b"VP8X":
            chunk = chunk[:8] + bytes([chunk[8] & ~_WEBP_FLAGS_DROPPED]) + chunk[9:]
        if kind in _WEBP_KEPT:
            yield chunk
        position = end


STRIP: dict[str, Callable[[bytes], bytes]] = {"PNG": strip_png, "JPEG": strip_jpeg, "WEBP": strip_webp}

MADE_BY_AI = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
_XMP = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about=""
 xmlns:xmp="http://ns.adobe.com/xap/1.0/"
 xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
 xmp:CreatorTool={tool}
 Iptc4xmpExt:DigitalSourceType="{source}"/>
</rdf:RDF>
</x:xmpmeta>
<?xpacket end="r"?>"""


def provenance(tool: str) -> bytes:
    """An XMP packet: an AI made this, with `tool`."""
    return _XMP.format(tool=quoteattr(tool), source=MADE_BY_AI).encode()


def note_png(data: bytes, xmp: bytes) -> bytes:
    """`xmp` as the chunk behind the header."""
    content = b"iTXtXML:com.adobe.xmp\0\0\0\0\0" + xmp
    chunk = struct.pack(">I", len(content) - 4) + content + struct.pack(">I", zlib.crc32(content))
    start = len(PNG_SIGNATURE)
    return _insert(data, start + 12 + int.from_bytes(data[start : start + 4], "big"), chunk)


def note_jpeg(data: bytes, xmp: bytes) -> bytes:
    """`xmp` as an APP1 segment: behind JFIF's, which must be the first."""
    content = b"http://ns.adobe.com/xap/1.0/\0" + xmp
    start = 2
    if data[start : start + 2] == b"\xff\xe0":
        start += 2 + int.from_bytes(data[start + 2 : start + 4], "big")
    return _insert(data, start, b"\xff\xe1" + struct.pack(">H", len(content) + 2) + content)


def _insert(data: bytes, position: int, piece: bytes) -> bytes:
    whole = memoryview(data)
    return b"".join((whole[:position], piece, whole[position:]))


NOTE: dict[str, Callable[[bytes, bytes], bytes]] = {"image/png": note_png, "image/jpeg": note_jpeg}
