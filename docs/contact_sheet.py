"""Draws docs/images/contact-sheet.jpg: what the built-in illustrator makes of fifty-two prompts.

Run from the repository root: `.venv/bin/python -m docs.contact_sheet`
"""

from __future__ import annotations

import io
import random
import textwrap
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from imagegen.engines.dicebear import DEFAULT_SIZE, draw

TARGET = Path(__file__).parent / "images" / "contact-sheet.jpg"
COLUMNS, CELL, LABEL, GAP = 8, 190, 46, 8

ALWAYS = (
    "A cheerful watercolor portrait of an old woman with glasses and white hair",
    "a bald man with a red beard",
)
WHO = (
    "woman", "man", "girl", "boy", "old man", "old woman", "pixie", "wizard", "knight", "pirate",
    "queen", "chef", "doctor", "black woman", "Japanese man", "elf", "engineer", "witch",
    "teenager", "viking",
)  # fmt: skip
MOODS = (
    "cheerful", "serious", "sad", "surprised", "calm", "smiling", "angry", "cheeky", "",
)  # fmt: skip
HAIR = (
    "long curly black hair", "short blond hair", "red braids", "grey hair", "a brown bob",
    "pink spiky hair", "wavy auburn hair", "a bald head", "a blonde bun", "blue hair and a fringe",
)  # fmt: skip
MORE = (
    "round glasses", "sunglasses", "a yellow beanie", "a green coat", "a dark blue dress",
    "blue eyes", "a purple scarf", "a straw hat", "freckles", "a white shirt", "red headphones",
    "a teal hijab", "no glasses and no hat", "golden earrings",
)  # fmt: skip
PLACES = (
    "in a forest", "at sunset", "by the sea", "on a pink background", "at night", "in the snow", "",
    "",
)  # fmt: skip
THINGS = (
    "a mountain landscape at dawn", "a red bicycle", "a logo in blue and gold",
    "a green planet in space", "the sea in a storm", "a starry night", "an orange and teal quilt",
    "a cup of coffee", "abstract shapes in purple and pink", "a tartan carpet in red and green",
)  # fmt: skip


def prompts() -> list[str]:
    chance = random.Random(2024)  # noqa: S311 - a fixed choice, no secret
    people = [
        " ".join(f"{mood} {who} with {hair} and {more} {place}".split())
        for who, mood, hair, more, place in (
            [chance.choice(words) for words in (WHO, MOODS, HAIR, MORE, PLACES)] for _ in range(40)
        )
    ]  # fmt: skip
    return [*ALWAYS, *people, *THINGS]


def sheet() -> Image.Image:
    pictures = prompts()
    rows = -(-len(pictures) // COLUMNS)
    page = Image.new("RGB", (COLUMNS * (CELL + GAP) + GAP, rows * (CELL + LABEL + GAP) + GAP), "white")
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(11)
    for k, prompt in enumerate(pictures):
        picture = Image.open(io.BytesIO(draw(prompt, 0, DEFAULT_SIZE).png()))
        x, y = GAP + k % COLUMNS * (CELL + GAP), GAP + k // COLUMNS * (CELL + LABEL + GAP)
        page.paste(picture.resize((CELL, CELL), Image.Resampling.LANCZOS), (x, y))
        pen.multiline_text((x, y + CELL + 3), textwrap.fill(prompt, 32), fill="#333333", font=font, spacing=2)
    return page


if __name__ == "__main__":
    TARGET.parent.mkdir(exist_ok=True)
    sheet().save(TARGET, quality=78, optimize=True, progressive=True)
