"""Enough English to put a stranger's words into a sentence: articles, heads of noun phrases, lists.

Everything is decided by short word lists and endings. Where they do not know a word, they choose the form
that reads well in most cases; they never refuse. Text is a single line without sentence marks.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Final


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_NUMERALS: Final = """one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen
    sixteen seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety"""
NUMBERS: Final = dict(zip(_NUMERALS.split(), [*range(1, 21), *range(30, 100, 10)], strict=True))

# Articles of neighbouring languages are here so that "eine Elfe" does not become "an eine Elfe".
DETERMINERS: Final = frozenset(NUMBERS) | _words(
    """a an the my your his her its our their this that these those some any no every each another both all
    several many few various countless dozens lots
    ein eine einen einem einer der die das den dem un une le la les des el los las una il lo gli uno um uma
    een het"""
)
PRONOUNS: Final = _words(
    """i me myself you yourself him himself us them themselves someone somebody anyone anybody everyone
    everybody nobody nothing something"""
)
PREPOSITIONS: Final = _words(
    """about above across after against along amid among amongst around as at atop before behind below
    beneath beside besides between beyond by down during for from in inside into like near of off on onto
    opposite out outside over past through throughout to toward towards under underneath up upon with within
    without"""
)
_RELATIVES: Final = _words("who whom whose that which where while")
# Participles that follow a noun more often than they stand before it.
_DOING: Final = _words(
    """wearing holding carrying riding sitting standing looking playing reading walking running flying
    floating sleeping leaning hiding dancing working facing gazing peeking emerging"""
)
_DONE: Final = _words("lit drawn taken shot made seen shown woven built cut")
_LINKS: Final = PREPOSITIONS | _RELATIVES | _DOING
_DANGLING: Final = PREPOSITIONS | _RELATIVES | DETERMINERS | _words("and or but very free")

_IRREGULAR_PLURALS: Final = _words(
    """men women children people twins triplets siblings mice geese feet teeth wolves elves knives leaves
    police folk cattle"""
)
_SINGULAR_S: Final = _words(
    """octopus walrus lens bus gas iris atlas canvas cosmos albatross christmas rhinoceros
    hippopotamus cactus lotus crocus circus campus venus mars jesus zeus paris texas bias chaos pegasus
    platypus series species"""
)
_MASS: Final = _words(
    """light daylight armor armour jewelry jewellery lace denim leather silk velvet linen wool cotton fur
    satin tweed clothing attire apparel garb gear regalia finery chainmail mail plate makeup paint tulle
    hair stubble heterochromia water smoke fog mist rain snow ice sand grass space nature
    darkness text writing blur noise grain blood violence nudity clutter
    glitter gold silver chiaroscuro neon lighting illumination sunshine moonshine traffic ivy moss weather
    dust steam magic energy camouflage linework shading detail ornament glare bokeh vegetation heaven hell
    paradise orbit midair haar haare augen cheveux yeux pelo cabello ojos capelli occhi"""
)
_COUNT_LIGHTS: Final = _words("spotlight flashlight skylight streetlight headlight highlight floodlight")

# Words that are no names, though somebody may begin them with a capital.
_COMMON: Final = _words(
    """person woman man girl boy lady gentleman child kid baby toddler teenager adult human couple family
    friend friends group twins mother father grandmother grandfather sister brother bride groom
    pixie fairy elf dwarf gnome goblin orc troll giant ogre wizard witch sorcerer sorceress mage warlock
    knight warrior ninja samurai viking pirate queen king prince princess emperor empress mermaid vampire
    werewolf ghost zombie angel demon monster alien robot android cyborg superhero hero heroine villain
    astronaut scientist teacher doctor nurse firefighter chef pilot artist musician singer dancer detective
    customer service support agent sales manager assistant consultant advisor employee worker colleague
    operator technician electrician salesperson receptionist boss leader team
    farmer soldier sailor engineer programmer developer student professor athlete footballer gamer clown
    dragon unicorn phoenix griffin centaur cat dog kitten puppy fox wolf owl bird eagle raven parrot penguin
    horse pony deer bear panda tiger lion leopard rabbit bunny hare mouse hamster squirrel hedgehog frog
    turtle elephant giraffe monkey gorilla otter raccoon koala sloth octopus whale dolphin shark butterfly
    bee teapot tree flower mushroom pumpkin snowman
    old young elderly little small tiny big tall short long wise cute happy sad angry funny friendly brave
    evil good bad beautiful pretty handsome elegant fierce gentle kind grumpy smiling laughing mysterious
    magical mystical ancient modern futuristic fantasy medieval wild fluffy furry fat thin strong proud shy
    sleepy female male red orange yellow green blue purple violet pink brown black white gray grey golden
    gold silver blond blonde dark light bright pale curly straight wavy messy braided glowing soft warm cool
    cold dramatic natural colorful colourful simple plain casual formal cozy cosy royal sunny snowy rainy
    foggy misty enchanted haunted crowded quiet busy
    forest garden library castle beach meadow mountain mountains lake river sea ocean city street park cave
    desert jungle island village kitchen office studio cafe café space sky room house school church tower
    hat coat dress suit shirt jacket sweater hoodie cloak robe robes armor jeans glasses sunglasses scarf
    crown necklace earrings tie gloves boots cape uniform kimono hair eyes beard
    watercolor watercolour oil painting acrylic pastel charcoal pencil ink sketch drawing photo photograph
    realistic photorealistic portrait cartoon anime comic digital art illustration abstract minimalist
    vintage retro close-up profile candlelight moonlight sunlight daylight sunset night
    freckles smile text watermark watermarks logo logos"""
)
_NAME_PARTICLES: Final = _words("van von der den de da di del della du la le bin ibn al el of the")
_INITIALISM: Final = re.compile(r"[A-Z]{2,5}$|[A-Z]-[a-z]")  # a UFO, a T-shirt
_PEOPLES: Final = _words(
    """european african american asian german italian spanish french english irish scottish greek roman
    egyptian indian mexican russian japanese chinese korean turkish norwegian swedish victorian"""
)

# The article follows the sound, not the letter.
_CONSONANT_SOUND: Final = re.compile(
    r"uni(?!n|m|d)|unanim|u[bt][aeio]|us[aeu]|ur[aeiu]|uga|ukr|uku|e[uw]|one(?![a-z])|once|oui"
    r"|u(?:fo|sb|k|s|n|v)?(?![a-z])"
)
_VOWEL_SOUND: Final = re.compile(
    r"[aeiou]|hour|honest|hono|heir|x-?ray|[fhlmnrsx](?!\w)|8|1[18](?:\d\d)?(?!\d)"
)
_SPELT_OUT: Final = re.compile(r"(?:FBI|MRI|NBA|LED|RAF|[FHLMNRSX][B-DF-HJ-NP-TV-XZ]{1,4})s?(?!\w)")
_LIGATURES: Final = str.maketrans({"Æ": "Ae", "æ": "ae", "Œ": "Oe", "œ": "oe"})


def starts_with_vowel_sound(text: str) -> bool:
    """True where "an" stands before `text`: an hour, an 80-year-old, an FBI agent; not a unicorn."""
    decomposed = unicodedata.normalize("NFD", text.translate(_LIGATURES))
    plain = "".join(c for c in decomposed if not unicodedata.combining(c))
    if _SPELT_OUT.match(plain):
        return True
    plain = plain.lower()
    return bool(_VOWEL_SOUND.match(plain)) and not _CONSONANT_SOUND.match(plain)


def with_article(text: str) -> str:
    return f"{'an' if starts_with_vowel_sound(text) else 'a'} {text}"


def join(items: Sequence[str], conjunction: str = "and") -> str:
    """`a`, `a and b`, `a, b, and c`."""
    if len(items) < 3:
        return f" {conjunction} ".join(items)
    return f"{', '.join(items[:-1])}, {conjunction} {items[-1]}"


def is_participle(word: str) -> bool:
    """`painted`, `sitting`, `lit`: it can open a clause. `red`, `painting`, `morning` cannot."""
    return word in _DOING | _DONE or (len(word) > 4 and word.endswith("ed"))


def starts_clause(text: str) -> bool:
    """True if `text` attaches to a sentence as it is: "in a garden", "lit from below", "holding a cup"."""
    first, _, rest = text.lower().partition(" ")
    return first in _LINKS or (is_participle(first) and rest.split(" ")[0] in PREPOSITIONS)


def split_head(text: str) -> tuple[str, str]:
    """The words up to the noun the phrase is about, and the rest with its leading space or comma.

    "old man with a hat" -> ("old man", " with a hat"); "oil portrait painted in layers" -> ("oil portrait",
    " painted in layers"). Together the two are `text`.
    """
    for match in re.finditer(r",? ", text):
        if match.start() == 0:
            continue
        if match[0] == ", ":
            return text[: match.start()], text[match.start() :]
        following = text[match.end() :]
        after_and = following.lower().removeprefix("and ").partition(" ")[0]
        new_noun = following.lower().startswith("and ") and after_and in DETERMINERS
        if new_noun or starts_clause(following):
            return text[: match.start()], text[match.start() :]
    return text, ""


def is_plural(noun: str) -> bool:
    word = noun.lower().rpartition("-")[2]
    if word in _IRREGULAR_PLURALS:
        return True
    return (
        len(word) > 3
        and word.endswith("s")
        and word[-2].isalpha()
        and not word.endswith(("ss", "us", "is", "'s"))
        and word not in _SINGULAR_S
    )


def is_mass(noun: str) -> bool:
    word = noun.lower().rpartition("-")[2]
    return word in _MASS or word.endswith("wear") or (word.endswith("light") and word not in _COUNT_LIGHTS)


def is_name(head: str) -> bool:
    """`Albert Einstein`, `Joan`, `Ludwig van Beethoven`; not `Old Wizard`, not `German shepherd`."""
    words = head.split(" ")
    capitals = [word for word in words if word.lower() not in _NAME_PARTICLES]
    return (
        bool(capitals)
        and words[0].lower() not in DETERMINERS
        and all(word[0].isupper() for word in capitals)
        and not all(word.lower() in _COMMON | _PEOPLES or _INITIALISM.match(word) for word in capitals)
    )


def uncapitalise(text: str, *, names: bool = True) -> str:
    """`text` as it stands inside a sentence: "Old wizard" -> "old wizard", "OLD WIZARD" -> "old wizard".

    What may be a name keeps its capital; without `names`, only what looks like an adjective made from one.
    """
    if text.isupper() and len(text) > 5:
        text = text.title()
    head, tail = split_head(text)
    words = head.split(" ")
    first = words[0].lower()
    if text[:1].isupper() and all(word.lower() in _COMMON | DETERMINERS for word in words):
        return head.lower() + tail
    if not words[0].istitle() or (len(words) > 1 and words[1][0].isupper() and first not in DETERMINERS):
        return text
    known = first in _COMMON | DETERMINERS | PREPOSITIONS or (len(words) > 1 and is_participle(first))
    likely = not names and first not in _PEOPLES | {"i"} and not first.endswith(("ian", "ese", "ean"))
    return text[0].lower() + text[1:] if known or likely else text


def takes_no_article(head: str) -> bool:
    """True for names, pronouns, plurals, what cannot be counted, and scripts that have no article."""
    last = head.rpartition(" ")[2]
    return (
        is_name(head)
        or head.lower() in PRONOUNS
        or is_plural(last)
        or is_mass(last)
        or not (head[0].isdigit() or unicodedata.name(head[0], "").startswith("LATIN"))
    )


def determiner(text: str) -> str:
    """The article, number or possessive that `text` brings along, or ""."""
    first, _, rest = text.partition(" ")
    owned = first.lower() in DETERMINERS or first.isdecimal() or (first.endswith("'s") and first[0].isupper())
    return first if rest and owned else ""


def noun_phrase(text: str, adjectives: str = "") -> str:
    """`text` with the article it needs, if it needs one, and with `adjectives` before its own.

    "old wizard" -> "an old wizard"; "the old wizard" stays; "two cats", "armor", "Ada" get none.
    """
    text = uncapitalise(text)
    own = determiner(text)
    if own:
        text = text[len(own) + 1 :]
    if adjectives:
        text = f"{adjectives} {text}"
    if own.lower() in ("a", "an"):
        return with_article(text)
    if own:
        return f"{own} {text}"
    head, _ = split_head(text)
    return text if takes_no_article(head) else with_article(text)


def shorten(text: str, length: int) -> str:
    """`text` cut after a whole word to at most `length` characters, with no word left hanging at the end."""
    if len(text) <= length:
        return text
    words = text[: length + 1].split(" ")[:-1] or [text[:length]]
    while len(words) > 1 and words[-1].strip(",").lower() in _DANGLING:
        words.pop()
    return " ".join(words).rstrip(",")
