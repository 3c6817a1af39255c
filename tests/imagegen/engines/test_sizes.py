import math

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from imagegen.engines.sizes import AnySize, AspectRatios, ListedSizes, Size

HOSTED = AnySize(
    multiple=16, min_edge=16, max_edge=3840, min_pixels=655_360, max_pixels=8_294_400, max_ratio=3
)
STABLE_DIFFUSION = AnySize(multiple=8, min_edge=64, max_edge=2048, max_pixels=2048 * 2048)
BOUNDS = pytest.mark.parametrize("bounds", [HOSTED, STABLE_DIFFUSION, AnySize()])

edges = st.integers(64, 4096)
asked_sizes = st.builds(Size, edges, edges)


def is_within(size: Size, bounds: AnySize) -> bool:
    return (
        all(edge % bounds.multiple == 0 for edge in size)
        and all(bounds.min_edge <= edge <= bounds.max_edge for edge in size)
        and bounds.min_pixels <= size.pixels <= bounds.max_pixels
        and max(size) / min(size) <= bounds.max_ratio
    )


def covers(size: Size, asked: Size) -> bool:
    return size.width >= asked.width and size.height >= asked.height


def rounded_up(asked: Size, bounds: AnySize) -> Size:
    return Size(*(math.ceil(edge / bounds.multiple) * bounds.multiple for edge in asked))


@BOUNDS
@settings(deadline=None)
@given(asked=asked_sizes)
@example(asked=Size(4096, 64))
@example(asked=Size(64, 4096))
@example(asked=Size(4096, 4096))
@example(asked=Size(3840, 2160))
@example(asked=Size(1281, 427))
def test_any_size_stays_within_its_bounds(bounds, asked):
    assert is_within(bounds.nearest(asked), bounds)


@BOUNDS
@settings(deadline=None)
@given(asked=asked_sizes)
def test_what_can_be_made_as_asked_is(bounds, asked):
    exact = rounded_up(asked, bounds)
    if is_within(exact, bounds):
        assert bounds.nearest(asked) == exact


@BOUNDS
@settings(deadline=None)
@given(asked=asked_sizes)
def test_any_size_covers_where_shape_and_bounds_allow(bounds, asked):
    ratio = max(asked) / min(asked)
    if ratio <= bounds.max_ratio and is_within(rounded_up(asked, bounds), bounds):
        assert covers(bounds.nearest(asked), asked)


@settings(deadline=None)
@given(
    asked=st.builds(Size, st.integers(1, 10**5), st.integers(1, 10**5)),
    multiple=st.sampled_from([1, 2, 8, 16, 64]),
    max_edge=st.integers(512, 8192),
    max_pixels=st.integers(512 * 512, 10**8),
    max_ratio=st.floats(1, 64),
)
def test_any_size_always_ends(asked, multiple, max_edge, max_pixels, max_ratio):
    bounds = AnySize(multiple, 64, max_edge, 0, max_pixels, max_ratio)
    assert is_within(bounds.nearest(asked), bounds)


@pytest.mark.parametrize(
    ("asked", "made"),
    [
        ("1024x1024", "1024x1024"),
        ("1000x1000", "1008x1008"),
        ("512x512", "816x816"),  # too few pixels for this engine
        ("3840x2160", "3840x2160"),
        ("4096x4096", "2880x2880"),
        ("1920x1080", "1920x1088"),
    ],
)
def test_a_hosted_engine(asked, made):
    assert str(HOSTED.nearest(Size.parse(asked))) == made


def test_a_shape_too_long_is_covered_in_the_longest_that_there_is():
    """3000x500 can be cut out of 3008x1008, without being blown up."""
    assert covers(HOSTED.nearest(Size(3000, 500)), Size(3000, 500))


LISTED = ListedSizes.of("1024x1024", "1792x1024", "1024x1792")


@pytest.mark.parametrize(
    ("asked", "made"),
    [
        ("512x512", "1024x1024"),
        ("2048x2048", "1024x1024"),
        ("768x512", "1792x1024"),
        ("512x768", "1024x1792"),
        ("4096x64", "1792x1024"),
        ("64x4096", "1024x1792"),
    ],
)
def test_listed_sizes_shape_first(asked, made):
    assert str(LISTED.nearest(Size.parse(asked))) == made


@pytest.mark.parametrize(
    ("asked", "made"), [("200x200", "256x256"), ("300x300", "512x512"), ("2000x2000", "1024x1024")]
)
def test_of_one_shape_the_smallest_that_covers(asked, made):
    squares = ListedSizes.of("1024x1024", "256x256", "512x512")
    assert str(squares.nearest(Size.parse(asked))) == made


@settings(deadline=None)
@given(asked=asked_sizes)
def test_listed_sizes_give_what_is_listed(asked):
    assert LISTED.nearest(asked) in LISTED.sizes


@pytest.mark.parametrize(
    ("asked", "made"),
    [
        ("1024x1024", "1:1"),
        ("1920x1080", "16:9"),
        ("1080x1920", "9:16"),
        ("64x4096", "9:16"),
        ("800x600", "4:3"),
    ],
)
def test_aspect_ratios(asked, made):
    ratios = AspectRatios(("1:1", "16:9", "9:16", "4:3", "3:4"))
    assert ratios.nearest(Size.parse(asked)) == made


def test_a_size_prints_as_engines_write_it():
    assert str(Size.parse("1024x768")) == "1024x768"
    assert Size.parse("1024x768") == (1024, 768)


@pytest.mark.parametrize(
    "text",
    [
        *("", "x", "auto", "1024", "1024x", "x768", "1024X768", "1024 x 768", " 1024x768", "1024x768\n"),
        *("-1x5", "+1x5", "1.0x5", "1e3x5", "1_0x5", "1x2x3", "0x10x5", "٣x٤", "²x²", "9" * 5000 + "x1"),
    ],
)
def test_anything_else_is_no_size(text):
    with pytest.raises(ValueError):
        Size.parse(text)
