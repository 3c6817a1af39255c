"""What somebody in a prompt looks like: `Traits` in, options of the portrait style out.

Only variants named in these tables are ever drawn: each is a face that a person would be glad to have.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from imagegen.engines.dicebear.prompt import Traits

Options = dict[str, Any]

_SKINS = ("#f6d3ba", "#f1c3a5", "#e3ac86", "#c68e7a", "#b98e6a", "#a36b4f", "#7b4a35", "#5c3829")
_HAIRS = ("#2a2526", "#3b2620", "#5b3a29", "#6a402a", "#8a5a36", "#a55728", "#b58143", "#dcb667")
_IRISES = ("#4b2422", "#4b2422", "#5a3320", "#3d6b8f", "#4a7a54", "#8a6a35")
CLOTHES = ("#2f4b7c", "#0f766e", "#b4443f", "#6d4a9c", "#e0843a", "#3d4450", "#2e7d4f", "#d9a520", "#c2577f")
_HATS = ("#b1403a", "#2f4b7c", "#3d6b4f", "#6b4b3a", "#4a4f5c", "#d9a520")
_GROUNDS = ("#cfe3f1", "#f6dcc6", "#d6ead8", "#e6dbf3", "#f9e3b8", "#f4d3d6", "#cfe8e6", "#e3e3ea")
_GREYS = ("#b5b7b9", "#e9e9e6")

_FACES: dict[str, tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]] = {
    "": (("grin", "smile", "grin"), ("happy",), ("neutral", "raised", "neutral")),
    "happy": (("laugh", "grin"), ("happy",), ("neutral",)),
    "laughing": (("laugh",), ("bow", "happy"), ("neutral",)),
    "serious": (("flat",), ("happy",), ("neutral",)),
    "sad": (("sad",), ("happy", "humble"), ("sad",)),
    "angry": (("angry", "sad"), ("happy",), ("angry",)),
    "surprised": (("agape",), ("wide",), ("raised", "neutral")),
    "calm": (("grin", "smile"), ("humble",), ("neutral",)),
    "cheeky": (("grin", "smile"), ("wink",), ("raised",)),
}
"""By mood: mouths, eyes, eyebrows to choose from."""

_MOOD_GROUNDS = {
    "happy": "#fbe2a6", "laughing": "#fbd68f", "serious": "#ccd3db", "sad": "#b5c4d6", "angry": "#eab0a2",
    "surprised": "#fbd9bf", "calm": "#cde6dc", "cheeky": "#e4d4f3",
}  # fmt: skip

_WORN = ("beard", "hat", "glasses", "scarf", "earrings", "ears", "cheeks", "clothes")
_BEARDS = ("fullBeard", "chinMoustache", "chin", *[""] * 9)
_EARRINGS = ("stud", "hoop", "", "", "")
_WARDROBE = {
    "woman": ("tShirt", "turtleNeck", "shirt", "openJacket", "dress"),
    "man": ("tShirt", "turtleNeck", "shirt", "openJacket"),
}
_LENGTHS = {"pigtails": "pigtails", "bob": "neckHigh", "medium": "shoulderHigh"}
_STRANDS = {"curly": "longCurly", "wavy": "longWavy", "straight": "longStraight"}
_COVERING = frozenset({"beanie", "cap", "wizard", "fedora", "helmet", "turban", "chef"})
_HAT_COLOURS = {"crown": "#e6b422", "helmet": "#a9b1bb", "chef": "#f7f7f4", "headphones": "#3d4450"}


class Dice:
    """Choices that depend on the prompt, the seed and what is being chosen, and on nothing else."""

    def __init__(self, prompt: str, seed: int) -> None:
        self.seed = f"{number(prompt):x}-{seed}"

    def pick(self, what: str, among: Sequence[str]) -> str:
        return among[number(f"{self.seed} {what}") % len(among)]


def number(text: str) -> int:
    """A whole number that `text` decides, the same everywhere."""
    return int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:8])


def portrait_options(traits: Traits, dice: Dice) -> Options:
    """The options of the portrait style that show `traits`; the dice fill the gaps."""
    variants = _variants(traits, dice, _look(traits) or dice.pick("look", ("woman", "man")))
    options: Options = {f"{part}Color": [colour] for part, colour in _paints(traits, dice, variants).items()}
    for part, variant in variants.items():
        options |= (
            {f"{part}Probability": 100, f"{part}Variant": variant} if variant else {f"{part}Probability": 0}
        )
    return options


def _variants(traits: Traits, dice: Dice, look: str) -> dict[str, str]:
    """The variant of each component of the style, or nothing where it is not to be seen."""
    said, child = traits.parts, traits.age == "child"
    mouths, eyes, brows = _FACES[traits.mood]
    front, rear = _hair(traits, look, said.get("hat", ""), dice)
    beardless = look == "woman" or child or "ears" in said
    unsaid = {
        "beard": "" if beardless else dice.pick("beard", _BEARDS),
        "earrings": dice.pick("earrings", _EARRINGS) if look == "woman" else "",
        "cheeks": "blush" if child else "",
        "clothes": dice.pick("clothes", _WARDROBE[look]),
    }
    worn = {part: kind for part, kind in (unsaid | dict(said)).items() if kind != "none"}
    drawn = {part: worn.get(part, "") for part in _WORN}
    return drawn | {
        "hair": front,
        "rearHair": rear,
        "lines": "old" if traits.age == "old" else "",
        "mouth": dice.pick("mouth", mouths),
        "eyes": "happy" if drawn["glasses"] == "eyepatch" else dice.pick("eyes", eyes),
        "eyebrows": dice.pick("eyebrows", brows),
    }


def _paints(traits: Traits, dice: Dice, variants: Mapping[str, str]) -> dict[str, str]:
    """The colour of each palette of the style."""
    said = traits.colours
    hair = said.get("hair") or dice.pick("hair", _GREYS if traits.age == "old" else _HAIRS)
    return {
        "hair": hair,
        "beard": said.get("beard") or hair,
        "skin": said.get("skin") or dice.pick("skin", _SKINS),
        "iris": said.get("eyes") or dice.pick("iris", _IRISES),
        "clothes": said.get("clothes") or dice.pick("clothes colour", CLOTHES),
        "hat": said.get("hat") or _HAT_COLOURS.get(variants["hat"]) or dice.pick("hat colour", _HATS),
        "glasses": said.get("glasses") or "#2b2b33",
        "scarf": said.get("scarf") or dice.pick("scarf colour", _HATS),
        "trim": said.get("earrings") or "#eab308",
    }


def _look(traits: Traits) -> str:
    """`woman` or `man` where the prompt says or hints so."""
    parts = traits.parts
    if traits.gender:
        return traits.gender
    if "bald" in traits.hair or parts.get("beard", "none") != "none":
        return "man"
    womanly = traits.hair & {"bun", "bob", "fringe", "pigtails"} or parts.get("earrings", "none") != "none"
    return "woman" if womanly or parts.get("clothes") == "dress" or parts.get("hat") == "hijab" else ""


def _hair(traits: Traits, look: str, hat: str, dice: Dice) -> tuple[str, str]:
    """The variants for the hair in front of and behind the head."""
    said = traits.hair
    if "bald" in said or hat == "hijab":
        return "", ""
    front = _front_hair(said, look, dice)
    return "sides" if hat in _COVERING else front, _rear_hair(said, front, look, dice)


def _front_hair(said: frozenset[str], look: str, dice: Dice) -> str:
    if shape := next((kind for kind in ("bun", "curly", "spiky", "undercut") if kind in said), ""):
        return shape
    if said & {"fringe", "bob", "pigtails"}:
        return "fringe"
    if said & {"long", "medium", "wavy"}:
        return dice.pick("front", ("parted", "fringe") if look == "woman" else ("parted", "sideComed"))
    if look == "man":
        return dice.pick("front", ("sideComed", "buzz", "undercut", "spiky", "sideComed"))
    return dice.pick(
        "front", ("sideComed", "fringe") if "short" in said else ("parted", "fringe", "bun", "curly")
    )


def _rear_hair(said: frozenset[str], front: str, look: str, dice: Dice) -> str:
    if length := next((_LENGTHS[kind] for kind in _LENGTHS if kind in said), ""):
        return length
    if "long" in said:
        return next((_STRANDS[kind] for kind in _STRANDS if kind in said), "longWavy")
    if look == "man" or "short" in said or front in {"bun", "spiky", "undercut"}:
        return ""
    if front == "curly":
        return dice.pick("rear", ("longCurly", ""))
    return dice.pick("rear", ("longWavy", "longStraight", "shoulderHigh", "neckHigh"))


def ground(traits: Traits, dice: Dice) -> str:
    """The colour behind the person: as said, else of the place, else of the mood."""
    said = traits.colours.get("background") or traits.place or _MOOD_GROUNDS.get(traits.mood)
    return said or dice.pick("ground", _GROUNDS)
