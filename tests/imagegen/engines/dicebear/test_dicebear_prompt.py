import time

import pytest

from imagegen.engines.dicebear.prompt import MAX_CHARACTERS, read, shaded

RED_HAIR, WHITE_HAIR, BLACK_HAIR, BROWN_HAIR = "#b5421d", "#eeeeea", "#2a2526", "#6a402a"
RED, GREEN, BLUE = "#c8282d", "#2e8b45", "#2463c4"


def test_each_adjective_goes_to_its_noun():
    traits = read("a bald man with a red beard")
    assert traits.hair == {"bald"}
    assert traits.gender == "man"
    assert traits.parts == {"beard": "fullBeard"}
    assert traits.colours == {"beard": RED_HAIR}


def test_an_old_woman_with_glasses():
    traits = read("A cheerful watercolor portrait of an old woman with glasses and white hair")
    assert (traits.person, traits.gender, traits.age, traits.mood) == (True, "woman", "old", "happy")
    assert traits.parts == {"glasses": "round"}
    assert traits.colours == {"hair": WHITE_HAIR}


@pytest.mark.parametrize(
    ("prompt", "colours"),
    [
        ("a red-haired girl", {"hair": RED_HAIR}),
        ("her hair is red", {"hair": RED_HAIR}),
        ("her hair is dyed bright green", {"hair": GREEN}),
        ("a person with long, curly, black hair", {"hair": BLACK_HAIR}),
        ("blue eyes and green coat", {"eyes": BLUE, "clothes": GREEN}),
        ("his eyes are blue and his hair is red", {"eyes": BLUE, "hair": RED_HAIR}),
        ("brown hair and a red beard", {"hair": BROWN_HAIR, "beard": RED_HAIR}),
        ("a woman in red", {"clothes": RED}),
        ("a woman dressed in green", {"clothes": GREEN}),
        ("a woman in black and a man", {"clothes": "#24222a"}),
        ("a black woman", {"skin": "#5c3829"}),
        ("a green goblin", {"skin": GREEN}),
        ("a blonde man in a blue shirt", {"hair": "#dcb667", "clothes": BLUE}),
        ("a man on a red background", {"background": RED}),
        ("a red car and a man with black hair", {"hair": BLACK_HAIR}),
        ("a man in the red room", {}),
        ("a woman in a red house", {}),
        ("a dark blue coat", {"clothes": shaded(BLUE, -0.4)}),
        ("a man in a denim jacket", {"clothes": "#3e5f8f"}),
        ("a man in a yellow raincoat", {"clothes": "#f2c21c"}),
        ("black hair and a light beard", {"hair": BLACK_HAIR}),
        ("salt and pepper hair", {"hair": "#8d8d8c"}),
    ],
)
def test_colours(prompt, colours):
    assert dict(read(prompt).colours) == colours


@pytest.mark.parametrize(
    ("prompt", "parts"),
    [
        ("a woman without glasses", {"glasses": "none"}),
        ("a man without glasses or a hat", {"glasses": "none", "hat": "none"}),
        ("a man with no hat and beard", {"hat": "none", "beard": "none"}),
        ("a man with no hat and a beard", {"hat": "none", "beard": "fullBeard"}),
        ("no glasses, a beard", {"glasses": "none", "beard": "fullBeard"}),
        ("a man who doesn't wear glasses but a cap", {"glasses": "none", "hat": "cap"}),
        ("a clean-shaven man", {"beard": "none"}),
        ("a beardless, hatless dwarf", {"beard": "none", "hat": "none"}),
        ("a wizard without a hat", {"hat": "none"}),
        ("a wizard", {"hat": "wizard"}),
        ("a pixie", {"ears": "pointed"}),
        ("a knight in a blue cap", {"hat": "cap"}),
        ("a man with sunglasses", {"glasses": "sunglasses"}),
        ("a man with square glasses", {"glasses": "square"}),
        ("a man holding two glasses of wine", {}),
        ("a long white beard", {"beard": "longBeard"}),
        ("a beard and a moustache", {"beard": "fullBeard"}),
        ("a long coat", {"clothes": "openJacket"}),
        ("a girl with freckles", {"cheeks": "freckles"}),
    ],
)
def test_what_is_worn_grown_or_ruled_out(prompt, parts):
    assert dict(read(prompt).parts) == parts


@pytest.mark.parametrize(
    ("prompt", "hair"),
    [
        ("long curly black hair", {"long", "curly"}),
        ("a woman with a bob", {"bob"}),
        ("a curly-haired boy", {"curly"}),
        ("a short man in a long coat", set()),
        ("a man with a long beard", set()),
        ("a woman with no hair", {"bald"}),
        ("a woman without long hair", set()),
        ("not bald", set()),
    ],
)
def test_hair(prompt, hair):
    assert read(prompt).hair == hair


@pytest.mark.parametrize(
    ("prompt", "age"),
    [
        ("an old man", "old"), ("an old wise woman", "old"), ("he is old", "old"),
        ("a woman in an old house", ""), ("a man in old clothes", ""), ("a 25 year old woman", ""),
        ("a 71-year-old woman", "old"), ("a man aged 30", ""), ("a 7-year-old", "child"),
        ("grandmother", "old"), ("a girl", "child"),
    ],
)  # fmt: skip
def test_age(prompt, age):
    assert read(prompt).age == age


@pytest.mark.parametrize("prompt", ["a portrait", "a pirate", "she smiles", "blue eyes", "a profile picture"])
def test_somebody(prompt):
    assert read(prompt).person


@pytest.mark.parametrize(
    ("prompt", "scene", "icon"),
    [
        ("a mountain landscape", "landscape", ""),
        ("a mountain landscape with a tree", "landscape", ""),
        ("a red bicycle", "", "bicycle"),
        ("a logo of a bicycle", "", "bicycle"),
        ("a logo", "shapes", ""),
        ("a portrait of a tree", "", "tree"),
        ("nothing in particular", "", ""),
    ],
)
def test_nobody(prompt, scene, icon):
    traits = read(prompt)
    assert (traits.person, traits.scene, traits.icon) == (False, scene, icon)


def test_palette_lists_colours_in_order():
    assert read("a logo in blue, red and blue").palette == (BLUE, RED)


def test_black_and_white_is_the_picture_or_the_shirt():
    assert read("a black and white portrait of a man").monochrome
    assert not read("a man in a black and white shirt").monochrome


@pytest.mark.parametrize(
    "text", ["a", "red ", "no no ", "'", "with a red and ", "\n", "\U0001f600", "9", "🜁é,"]
)
def test_reading_is_linear_on_anything(text):
    started = time.perf_counter()
    read(text * (32_000 // len(text)))
    assert time.perf_counter() - started < 2


def test_what_stands_beyond_the_cap_is_not_read():
    assert read("x " * (MAX_CHARACTERS // 2) + "a bald man") == read("x")
