import contextlib
import hashlib
import io
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from PIL import Image

from docs.contact_sheet import prompts
from imagegen.engines import dicebear
from imagegen.engines.base import Call, EngineConfig, ImageRequest
from imagegen.engines.dicebear import DiceBear, draw
from imagegen.engines.dicebear import portrait as dicebear_portrait
from imagegen.engines.dicebear import prompt as dicebear_prompt
from imagegen.engines.errors import BadEngineResponse, EngineMisconfigured, EngineTimeout, Unsupported
from imagegen.engines.sizes import Size
from imagegen.engines.spool import Answer, Spool

SMALL, LARGE = Size(96, 96), Size(512, 512)


@pytest.fixture
def engine():
    return DiceBear(EngineConfig(name="built in"))


@pytest.fixture
def call(tmp_path):
    return Call(Spool(tmp_path, "call"), time.monotonic() + 60, contextlib.nullcontext)


def opened(data):
    return Image.open(io.BytesIO(data))


def hexadecimal(rgb):
    return "#" + bytes(rgb).hex()


def colours_of(prompt):
    """Colours that fill at least a five-hundredth of the picture."""
    picture = opened(draw(prompt, 0, LARGE).png())
    counted = picture.getcolors(LARGE.pixels)
    return {hexadecimal(rgb) for count, rgb in counted if count > LARGE.pixels / 500}


def components(prompt, seed=0):
    """The components drawn and their variants, as the SVG has them."""
    return dict(re.findall(r'<use [^>]*href="#([a-zA-Z]+)-([a-zA-Z]+)-', draw(prompt, seed, SMALL).svg))


def test_an_old_woman_has_her_glasses_and_white_hair():
    prompt = "A cheerful watercolor portrait of an old woman with glasses and white hair"
    drawn = components(prompt)
    assert drawn["glasses"] == "round"
    assert drawn["lines"] == "old"
    assert drawn["mouth"] in {"laugh", "grin"}
    assert "beard" not in drawn
    assert "#eeeeea" in colours_of(prompt)


def test_a_bald_man_has_a_red_beard():
    drawn = components("a bald man with a red beard")
    assert drawn["beard"] == "fullBeard"
    assert not {"hair", "rearHair", "hat"} & drawn.keys()
    assert "#b5421d" in colours_of("a bald man with a red beard")


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(
    ("prompt", "absent"),
    [
        ("a man with no beard", "beard"),
        ("a clean-shaven pirate without an eyepatch", "beard"),
        ("a woman without earrings", "earrings"),
        ("a wizard without a hat", "hat"),
        ("a nerd without glasses", "glasses"),
        ("a girl", "beard"),
    ],
)
def test_what_is_ruled_out_is_not_drawn(prompt, absent, seed):
    assert absent not in components(prompt, seed)


def test_eyes_coat_and_hat_have_their_colours():
    wanted = {"#2463c4", "#2e8b45", "#f2c21c"}
    assert wanted <= colours_of("a smiling man with blue eyes, a yellow beanie and a green coat")


def test_long_curly_hair_is_seen_before_and_behind_the_head():
    drawn = components("a woman with long curly black hair")
    assert (drawn["hair"], drawn["rearHair"]) == ("curly", "longCurly")


def test_black_and_white_has_no_colour():
    picture = opened(draw("a black and white portrait of a man in a red coat", 0, SMALL).png())
    assert all(r == g == b for _, (r, g, b) in picture.getcolors(SMALL.pixels))


def test_nobody_gets_an_icon_or_an_abstract_style_in_the_colours_named():
    assert draw("a red bicycle", 0, SMALL).style == "icons"
    assert "#c8282d" in colours_of("a red bicycle")
    assert draw("a mountain landscape", 0, SMALL).style == "landscape"
    assert draw("a blue landscape", 0, SMALL).svg.count("#2463c4") > 0
    assert draw("zxcv", 0, SMALL).style in dicebear._SLOTS


@pytest.mark.parametrize("style", [*dicebear._SLOTS, "icons"])
@pytest.mark.parametrize("colour", ["", "red", "red, blue and green"])
def test_every_style_can_be_chosen_and_drawn(style, colour):
    drawing = draw(f"something {colour}", 3, SMALL, style)
    assert drawing.style == style
    assert len(opened(drawing.png()).getcolors(SMALL.pixels)) > 1


def test_contact_sheet_prompts_give_as_many_pictures():
    pictures = {hashlib.sha256(draw(prompt, 0, SMALL).png()).digest() for prompt in prompts()}
    assert len(prompts()) == len(pictures) == 52


@pytest.mark.parametrize(
    "size", [Size(64, 64), Size(512, 512), Size(513, 97), Size(64, 1024), Size(1920, 1080), Size(4096, 64)]
)
@pytest.mark.parametrize("prompt", ["a man", "a red bicycle", "the sea"])
def test_pictures_have_exactly_the_size_asked_and_no_alpha(engine, call, size, prompt):
    [image] = engine.parse(engine.generate(ImageRequest(prompt, size=size), call))
    picture = opened(image.data)
    assert (picture.size, picture.mode, picture.format) == (tuple(size), "RGB", "PNG")


@pytest.mark.parametrize("size", [Size(512, 512), Size(900, 300), Size(300, 900)])
def test_the_head_is_in_the_middle_and_keeps_its_shape(size):
    skin = "#8d5a3f"
    picture = opened(draw("a bald person with brown skin, no beard, on a blue background", 0, size).png())
    spots = [
        (k % size.width, k // size.width)
        for k, rgb in enumerate(picture.get_flattened_data())
        if hexadecimal(rgb) == skin
    ]
    left, right = min(x for x, _ in spots), max(x for x, _ in spots)
    top = min(y for _, y in spots)
    side = min(size.height, size.width / 0.78)
    assert abs((left + right) / 2 - size.width / 2) < 3
    assert (right - left) / side == pytest.approx(0.51, abs=0.06)
    assert (top - (size.height - side)) / side == pytest.approx(0.185, abs=0.02)


def test_a_call_makes_n_pictures_with_seeds_counting_up(engine, call):
    answer = engine.generate(ImageRequest("a woman", n=3, seed=7, size=SMALL), call)
    images = engine.parse(answer)
    assert [image.seed for image in images] == [7, 8, 9]
    assert len({image.data for image in images}) == 3
    assert images[0].meta == {"illustrator": "dicebear", "style": "toon-head"}
    assert answer.pictures == [call.spool.picture(k) for k in range(3)]


def test_prompt_and_seed_decide(engine, call):
    def made(**request):
        [image] = engine.parse(engine.generate(ImageRequest(size=SMALL, **request), call))
        return image

    unseeded = made(prompt="a woman")
    assert made(prompt="a woman").data == unseeded.data
    assert made(prompt="a woman", seed=unseeded.seed).data == unseeded.data
    assert made(prompt="a woman", seed=unseeded.seed + 1).data != unseeded.data
    assert made(prompt="a woman ").data != unseeded.data


def test_the_same_in_another_process():
    code = (
        "import hashlib; from imagegen.engines.dicebear import Size, draw;"
        "print(hashlib.sha256(draw('a cheeky elf', 5, Size(96, 96)).png()).hexdigest())"
    )
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert other.stdout.strip() == hashlib.sha256(draw("a cheeky elf", 5, SMALL).png()).hexdigest()


def test_the_same_in_many_threads():
    dicebear._style.cache_clear()
    with ThreadPoolExecutor(8) as pool:
        pictures = set(pool.map(lambda _: draw("a knight", 1, SMALL).png(), range(24)))
    assert pictures == {draw("a knight", 1, SMALL).png()}


def test_the_size_is_512_by_512_unless_asked(engine, call):
    [image] = engine.parse(engine.generate(ImageRequest("a man"), call))
    assert opened(image.data).size == (512, 512)


def test_a_recovered_answer_is_parsed_without_its_meta(engine, call):
    answer = engine.generate(ImageRequest("a man", size=SMALL), call)
    [image] = engine.parse(Answer(pictures=answer.pictures))
    assert image.seed is None
    assert image.data == answer.pictures[0].read_bytes()


def test_an_answer_without_pictures_is_refused(engine):
    with pytest.raises(BadEngineResponse):
        engine.parse(Answer())


def test_an_unknown_model_is_named_with_what_there_is(engine, call):
    with pytest.raises(EngineMisconfigured, match="toon-head"):
        engine.generate(ImageRequest("a man", model="dall-e-3"), call)


def test_too_many_pictures_are_refused(engine, call):
    with pytest.raises(Unsupported, match="10"):
        engine.generate(ImageRequest("a man", n=11), call)


def test_the_deadline_is_kept(engine, tmp_path):
    late = Call(Spool(tmp_path, "late"), time.monotonic() - 1, contextlib.nullcontext)
    with pytest.raises(EngineTimeout):
        engine.generate(ImageRequest("a man"), late)


def test_models_begin_with_the_default(engine):
    assert [model.id for model in engine.models()][:2] == ["auto", "toon-head"]


def test_check_draws(engine):
    assert "illustrator" in engine.check()


def test_check_finds_a_wrong_model():
    with pytest.raises(EngineMisconfigured):
        DiceBear(EngineConfig(name="built in", model="nonesuch")).check()


@pytest.mark.parametrize(
    "prompt", ['a man "/><script>x</script>', "]]> & <svg onload=evil>", "a woman url(#evil) evil\x00\ud800"]
)
def test_nothing_of_the_prompt_reaches_the_drawing(prompt):
    drawing = draw(prompt, 0, SMALL)
    assert not re.search("<script|onload|evil|\x00", drawing.svg)
    assert drawing.png()


class TestVocabulary:
    """Every word leads to something that exists, so that none is ignored in silence."""

    KNOWN = dicebear_prompt._KNOWN

    @pytest.fixture
    def variants(self):
        style = dicebear._style("toon-head")
        return {name: set(component.variants()) for name, component in style.components().items()}

    def test_kinds(self, variants):
        drawable = set().union(*variants.values()) | {"none"}
        hair = {"bob", "fringe", "pigtails", "curly", "spiky", "undercut", "short", "bun"}
        assert set(self.KNOWN["kinds"]) <= drawable | hair
        assert set(self.KNOWN["hats_before"].values()) <= variants["hat"]

    def test_roles(self, variants):
        for role in self.KNOWN["roles"].values():
            for part, kind in role.get("parts", {}).items():
                assert kind in variants[part]

    def test_every_role_is_somebody(self):
        assert set(self.KNOWN["roles"]) <= dicebear_prompt._PEOPLE.keys()

    def test_moods_and_scenes(self, variants):
        assert set(self.KNOWN["moods"]) | {""} == set(dicebear_portrait._FACES)
        assert set(self.KNOWN["moods"]) == set(dicebear_portrait._MOOD_GROUNDS)
        assert set(self.KNOWN["scenes"]) <= set(dicebear._SLOTS)
        for mouths, eyes, brows in dicebear_portrait._FACES.values():
            assert set(mouths) <= variants["mouth"]
            assert set(eyes) <= variants["eyes"]
            assert set(brows) <= variants["eyebrows"]

    def test_icons(self):
        assert set(self.KNOWN["icons"]) <= set(dicebear._style("icons").components()["icon"].variants())

    def test_slots_of_the_abstract_styles(self):
        for style, slots in dicebear._SLOTS.items():
            assert set(slots) <= set(dicebear._style(style).colors())

    def test_licences_are_those_in_the_notice(self):
        notice = (Path(__file__).parents[4] / "NOTICE.md").read_text()
        for name in dicebear._NAMES.keys() - {"auto"}:
            meta = dicebear._style(name).meta()
            assert meta.license().name() in {"CC0 1.0", "CC BY 4.0", "MIT"}
            assert meta.creator().name() in notice
            assert meta.license().name() in notice
