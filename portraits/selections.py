"""What a caller may describe a portrait by: the fields, their limits and the choices we list."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

MAX_ITEMS: Final = 8
SLOT_LENGTH: Final = 120
TEXT_LENGTH: Final = 300


@dataclass(frozen=True)
class Choice:
    """A listed value. `phrase` is what the prompt says for it, where that is not the value itself."""

    value: str
    label: str
    phrase: str = ""


@dataclass(frozen=True)
class Selection:
    """One field.

    Attributes:
        choices: suggestions, in the order to show them.
        multiple: a list of up to MAX_ITEMS strings is accepted beside a single string.
        free: text beyond the choices is accepted.
        max_length: of the text, or of each item of a list, in characters.
    """

    label: str
    choices: tuple[Choice, ...]
    multiple: bool = False
    free: bool = True
    max_length: int = SLOT_LENGTH

    def phrase(self, text: str) -> str:
        """What the prompt says for `text`: a listed choice's phrase, whatever its case, or `text` itself."""
        wanted = text.casefold()
        return next((c.phrase or c.value for c in self.choices if c.value.casefold() == wanted), text)


def _choices(*values: str | tuple[str, str]) -> tuple[Choice, ...]:
    """Choices from values, or (value, phrase) pairs. The label is the value with a capital."""
    pairs = [(value, "") if isinstance(value, str) else value for value in values]
    return tuple(Choice(value, value[0].upper() + value[1:], phrase) for value, phrase in pairs)


SELECTIONS: Final[Mapping[str, Selection]] = MappingProxyType(
    {
        "subject": Selection(
            "Subject",
            _choices(
                "person",
                "woman",
                "man",
                "girl",
                "boy",
                "pixie",
                "elf",
                "wizard",
                "witch",
                "knight",
                "pirate",
                "queen",
                "mermaid",
                "astronaut",
                "scientist",
                "robot",
                "dragon",
                "unicorn",
                "cat",
                "dog",
                "fox",
                "owl",
            ),
        ),
        # Phrases are written as any free text: up to the first participle or preposition they say what
        # the picture is, from there on how it is made.
        "style": Selection(
            "Style",
            _choices(
                ("watercolor", "watercolor painted in soft, translucent washes"),
                ("oil painting", "oil portrait painted with rich, visible brushwork"),
                ("gouache", "gouache painted in flat, velvety layers"),
                ("pastel drawing", "pastel portrait drawn with soft, blended strokes"),
                ("charcoal drawing", "charcoal portrait drawn with deep, smoky shading"),
                ("pencil sketch", "pencil portrait drawn with fine, confident lines"),
                ("ink drawing", "ink portrait drawn with crisp, expressive lines"),
                ("photograph", "photographic portrait taken with a shallow depth of field"),
                (
                    "black-and-white photograph",
                    "black-and-white photographic portrait taken with a full range of grays",
                ),
                ("vintage photograph", "vintage photographic portrait printed with gentle film grain"),
                ("digital painting", "digital portrait painted in polished detail"),
                ("storybook illustration", "storybook portrait illustrated with delicate linework"),
                ("anime", "anime portrait drawn with clean, cel-shaded lines"),
                ("comic book", "comic-book portrait inked with bold outlines"),
                ("3D render", "3D-rendered portrait modeled in smooth, rounded shapes"),
                ("pixel art", "pixel-art portrait drawn with crisp, even pixels"),
                ("pop art", "pop-art portrait printed in flat, graphic shapes"),
                ("art nouveau", "Art Nouveau portrait drawn with flowing, ornamental lines"),
                ("impressionist", "impressionist portrait painted in loose, lively strokes"),
                ("paper cut-out", "paper-cut portrait layered in crisp, colored paper"),
            ),
        ),
        "mood": Selection(
            "Mood",
            _choices(
                "cheerful",
                "joyful",
                "playful",
                "whimsical",
                "serene",
                "gentle",
                "dreamy",
                "ethereal",
                "romantic",
                "nostalgic",
                "thoughtful",
                "melancholic",
                "mysterious",
                "dramatic",
                "confident",
                "heroic",
                "elegant",
                "fierce",
            ),
        ),
        "age": Selection(
            "Age",
            _choices(
                "baby",
                "child",
                "teenage",
                ("young adult", "young"),
                "adult",
                ("twenties", "in their twenties"),
                ("thirties", "in their thirties"),
                ("forties", "in their forties"),
                ("fifties", "in their fifties"),
                ("sixties", "in their sixties"),
                "middle-aged",
                "elderly",
                "ageless",
            ),
        ),
        "gender": Selection("Gender", _choices("female", "male", "non-binary", "androgynous")),
        "hair": Selection(
            "Hair",
            _choices(
                "short black",
                "long black",
                "short brown",
                "long brown",
                "curly brown",
                "long red",
                "wavy auburn",
                "short blond",
                "long blond",
                "braided blond",
                "silver",
                "white",
                "pastel pink",
                "dark dreadlocks",
                "afro",
                "sleek bob",
                "messy bun",
                "bald",
            ),
        ),
        "eyes": Selection(
            "Eyes",
            _choices(
                "blue",
                "green",
                "brown",
                "hazel",
                "amber",
                "gray",
                "dark",
                "violet",
                "golden",
                "bright",
                "glowing",
                "closed",
            ),
        ),
        "clothing": Selection(
            "Clothing",
            _choices(
                "white shirt",
                "cozy knitted sweater",
                "denim jacket",
                "leather jacket",
                "red coat",
                "business suit",
                "evening gown",
                "summer dress",
                "kimono",
                "hooded cloak",
                "flowing robes",
                "suit of armor",
                "space suit",
                "lab coat",
                "sportswear",
                "Victorian dress",
                "casual clothes",
            ),
        ),
        "accessories": Selection(
            "Accessories",
            _choices(
                "round glasses",
                "sunglasses",
                "straw hat",
                "top hat",
                "woolen scarf",
                "flower crown",
                "golden crown",
                "pearl earrings",
                "silver necklace",
                "bow tie",
                "headphones",
                "eyepatch",
                "butterfly wings",
                "lantern",
                "old book",
                "umbrella",
            ),
            multiple=True,
        ),
        "setting": Selection(
            "Setting",
            _choices(
                "the edge of a glowing enchanted forest",
                "a library",
                "a flower garden",
                "a cozy café",
                "a sunlit meadow",
                "a misty mountain lake",
                "the beach",
                "a busy city street",
                "a rooftop at night",
                "an old castle",
                "an artist's studio",
                "a modern office",
                "outer space",
                "underwater",
                "a snowy landscape",
                "a starry sky",
                "a plain background",
            ),
        ),
        "lighting": Selection(
            "Lighting",
            _choices(
                "soft golden light",
                "natural daylight",
                "bright morning light",
                ("golden hour", "warm golden-hour light"),
                "moonlight",
                "candlelight",
                "firelight",
                "dappled sunlight",
                "soft window light",
                "studio lighting",
                "dramatic side lighting",
                "rim light",
                ("neon", "colorful neon light"),
                "misty light",
            ),
        ),
        "colors": Selection(
            "Colors",
            _choices(
                "red",
                "orange",
                "yellow",
                "gold",
                "green",
                "teal",
                "blue",
                "violet",
                "pink",
                "brown",
                "cream",
                "black",
                "white",
                "silver",
                "pastel tones",
                "earth tones",
                "jewel tones",
                "warm tones",
                "cool tones",
                "muted tones",
            ),
            multiple=True,
        ),
        "framing": Selection(
            "Framing",
            _choices(
                ("close-up", "framed as a close-up"),
                ("extreme close-up", "framed as an extreme close-up"),
                ("head and shoulders", "framed from the shoulders up"),
                ("half body", "framed from the waist up"),
                ("full body", "shown at full length"),
                ("profile", "seen in profile"),
                ("three-quarter view", "seen in three-quarter view"),
                ("front view", "seen from the front"),
                ("from below", "seen from slightly below"),
                ("from above", "seen from slightly above"),
                ("over the shoulder", "framed as a glance over the shoulder"),
                ("wide shot", "framed as a wide shot with plenty of space"),
            ),
        ),
        "details": Selection("Details", (), max_length=TEXT_LENGTH),
        "avoid": Selection(
            "Avoid",
            _choices(
                "text",
                "watermarks",
                "logos",
                "signatures",
                "borders",
                "other people",
                "extra fingers",
                "blurry details",
                "distorted features",
                "harsh shadows",
                "a busy background",
                "text, logos, and watermarks",
            ),
            max_length=TEXT_LENGTH,
        ),
    }
)
