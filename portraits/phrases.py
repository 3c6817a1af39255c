"""The grammatical form of each selection: "long red" -> "long red hair", "25" -> "25-year-old".

Listed choices take the same way as free text. Every function takes folded text and returns a phrase for the
middle of a sentence, or "" where nothing needs saying.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from portraits import english
from portraits.english import NUMBERS, is_name, join, noun_phrase, split_head


def _without(prefix: re.Pattern[str], text: str) -> str:
    """`text` without what `prefix` matches at its start, and without a capital that would only start it."""
    match = prefix.match(text)
    return english.uncapitalise(text[match.end() :] if match else text, names=False)


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# --- style and mood -----------------------------------------------------------------------------------

# A style that ends in one of these names the picture; any other stands before "portrait".
_PICTURES: Final = _words(
    """photo photograph picture painting drawing sketch illustration rendering image print poster sculpture
    statue bust mosaic woodcut engraving etching caricature collage headshot selfie avatar icon emblem mural
    fresco doodle silhouette linocut lithograph tapestry stencil snapshot polaroid self-portrait"""
)
_MAKING: Final = {"photography": "photograph", "render": "rendering"}
_IN_STYLE: Final = re.compile(r"(?:(?:in )?the )?style of (?=\w)", re.IGNORECASE)
_ARTICLE: Final = re.compile(r"(?:an?|the) (?=\w)", re.IGNORECASE)

_WITH: Final = re.compile(r"with (?=\w)", re.IGNORECASE)
_MOST_ADJECTIVES: Final = 4
_IMPRESSIONS: Final = _words(
    "mood atmosphere expression vibe vibes feeling smile look feel tone energy aura gaze grin frown spirit"
)
_EMOTIONS: Final = _words(
    "love joy hope melancholy mystery wonder sorrow anger peace grief fear pride delight bliss magic calmness"
)
_EMOTION_ENDINGS: Final = ("ness", "ity", "ment", "tion", "sion", "ism", "ance", "ence")
_EXPRESSIONS: Final = _words("smiling laughing grinning crying frowning winking screaming blushing")


def style(text: str) -> tuple[str, str]:
    """What to call the picture ("oil portrait"), and how it is made ("painted in loose strokes") or ""."""
    if _IN_STYLE.match(text):
        return "portrait", _IN_STYLE.sub("in the style of ", text, count=1)
    text = english.uncapitalise(_ARTICLE.sub("", text, count=1) if _ARTICLE.match(text) else text)
    if not text or english.starts_clause(text):
        return "portrait", text
    head, tail = split_head(text)
    technique = _technique(tail)
    *words, last = re.sub(r" style$", "-style", head).split(" ")
    if english.is_plural(last):
        return "portrait", f"in {text}"
    last = _MAKING.get(last.lower(), last)
    if last.lower() in _PICTURES:
        return " ".join([*words, last]), technique
    words = [
        word for word in [*words, re.sub(r"(?<=[a-z]{3})ism$", "ist", last)] if word.lower() != "portrait"
    ]
    return " ".join([*words, "portrait"]), technique


def _technique(tail: str) -> str:
    """How the picture is made, from what followed its name: " on canvas" -> "done on canvas"."""
    first, _, rest = tail.lstrip(" ,").partition(" ")
    if first == "of" or not rest:
        return "" if first == "of" else first
    if first == "by":
        return f"in the manner of {rest}"
    return f"{'done ' if first in ('on', 'from', 'using') else ''}{first} {rest}"


def mood(text: str, picture: str) -> tuple[str, str]:
    """The mood as adjectives before the picture, or as a clause of its own. One of the two is ""."""
    text = _without(_WITH, text)
    head, tail = split_head(text)
    noun = head.rpartition(" ")[2]
    if not text or set(text.lower().split(" ")) <= set(picture.lower().split(" ")):
        return "", ""
    if noun in _EMOTIONS or noun.endswith(_EMOTION_ENDINGS):
        return "", f"with a sense of {text}"
    if english.determiner(text) or noun in _IMPRESSIONS:
        return "", f"with {noun_phrase(text)}"
    is_phrase = tail.startswith(" ") or english.starts_clause(text) or text in _EXPRESSIONS
    return ("", text) if is_phrase or len(text.split(" ")) > _MOST_ADJECTIVES else (text, "")


# --- the subject --------------------------------------------------------------------------------------


class _Person(NamedTuple):
    adult: str
    child: str
    possessive: str


class _Age(NamedTuple):
    """Words before the noun ("elderly") or after it ("in her thirties"), and whether it is a child's age."""

    before: str = ""
    after: str = ""
    young: bool = False


_PEOPLE: Final = {"female": _Person("woman", "girl", "her"), "male": _Person("man", "boy", "his")}
_SOMEBODY: Final = _Person("person", "child", "their")
_GENDERS: Final = {
    **dict.fromkeys(("female", "woman", "girl", "f", "feminine", "lady"), "female"),
    **dict.fromkeys(("male", "man", "boy", "m", "masculine", "gentleman"), "male"),
    **dict.fromkeys(("nonbinary", "non binary", "enby"), "non-binary"),
}
_FEMALE: Final = _words(
    """woman girl lady women girls mother mom grandmother grandma sister daughter bride wife aunt queen
    princess empress goddess witch sorceress heroine mermaid actress waitress nun ballerina"""
)
_MALE: Final = _words(
    """man boy gentleman men boys father dad grandfather grandpa brother son groom husband uncle king prince
    emperor god wizard sorcerer warlock monk"""
)
_PLAIN: Final = _words("woman man girl boy")
_ADULTS: Final = _words("person human adult someone somebody")
_CHILDREN: Final = _words("child kid youngster")

_AGES: Final = {
    **dict.fromkeys(("baby", "infant"), _Age("baby", young=True)),
    "toddler": _Age("toddler", young=True),
    **dict.fromkeys(("child", "kid"), _Age("young", young=True)),
    **dict.fromkeys(("teenage", "teenager", "teen"), _Age("teenage", young=True)),
    **dict.fromkeys(("old", "senior", "old age"), _Age("elderly")),
}
_CONTRACTIONS: Final = {
    "baby child": "baby",
    "toddler child": "toddler",
    "teenage child": "teenager",
    "adult person": "adult",
}
_CONTRACTED: Final = re.compile(rf"\b(?:{'|'.join(_CONTRACTIONS)})\b")
_TELLING_AGE: Final = re.compile(
    r"\b(?:old|young|elderly|ancient|teenage|baby|toddler|middle-aged|little)\b", re.IGNORECASE
)
_TENS: Final = ["twenties", "thirties", "forties", "fifties", "sixties", "seventies", "eighties", "nineties"]
_NUMBER: Final = rf"(\d{{1,4}}|{'|'.join(sorted(NUMBERS, key=len, reverse=True))})"
_EXACT: Final = re.compile(
    rf"(?:aged? )?{_NUMBER}[ -]?(?:(month|week|day)s?|years?|yrs?|y|yo|y/o)?(?:[ -](?:old|of age))?"
)
_DECADE: Final = re.compile(
    rf"(?:in )?(?:(?:his|her|their|the|my|your) )?((?:early|mid|late)[ -])?(?:([2-9])0s|({'|'.join(_TENS)}))"
)
_BETWEEN: Final = re.compile(r"(?:aged? |between )?(\d{1,3})(?:-| to | and )(\d{1,3})(?: years?)?(?: old)?")
_ABOUT: Final = re.compile(
    rf"(about|around|roughly|approximately|almost|nearly|over|under) {_NUMBER}(?: years?)?(?: old)?"
)
_PICTURE_OF: Final = re.compile(
    r"(?:please )?(?:(?:create|draw|generate|make|paint|show) )?(?:me |us )?(?:an? |the )?"
    r"((?:(?!(?:an?|the|his|her|my|with|in|on|of|and|\w+ing) )[\w-]+ ){0,3}?"
    r"(portrait|picture|photo|photograph|image|painting|drawing|illustration|sketch))(?: of (?=\w)|$)",
    re.IGNORECASE,
)


def picture_and_subject(text: str) -> tuple[str, str]:
    """ "a watercolor portrait of a pixie" -> ("watercolor portrait", "a pixie"); "pixie" -> ("", "pixie")."""
    match = _PICTURE_OF.match(text)
    if not match:
        return "", text
    plain = match[1].lower() in ("portrait", "picture", "image")
    return "" if plain else match[1], text[match.end() :]


def subject(text: str, age: str, gender: str) -> str:
    """Who is portrayed: "an elderly female pixie", "a girl", "Ada Lovelace as an 8-year-old girl"."""
    head, tail = split_head(english.uncapitalise(text))
    gender = _GENDERS.get(gender.lower(), english.uncapitalise(gender) if gender else "")
    if head and (is_name(head) or head.lower() in english.PRONOUNS):
        if tail or not (age or gender):
            return head + tail
        return f"{head}{' as ' if age else ', '}{subject('', age, gender)}"
    *own, noun = head.split(" ")
    implied = "female" if noun in _FEMALE else "male" if noun in _MALE else ""
    person = _PEOPLE.get(implied or gender, _SOMEBODY)
    years = _age(english.uncapitalise(age), person.possessive) if age else _Age()
    if implied == gender or (noun in _PLAIN and gender in _PEOPLE):
        gender = ""
    adjectives = ["" if _TELLING_AGE.search(head) else years.before, gender]
    if noun in _PLAIN and age:
        noun = person.child if years.young else person.adult
    elif not noun or noun in _ADULTS | _CHILDREN:
        noun = person.child if years.young or noun in _CHILDREN else person.adult
        adjectives = [word for word in adjectives if word not in _PEOPLE]
        if gender.endswith((" woman", " man", " girl", " boy", " person")):
            adjectives[-1], _, noun = gender.rpartition(" ")
    if years.before in ("baby", "toddler"):
        adjectives.reverse()
    core = " ".join(filter(None, [*own, noun]))
    before = " ".join(word for word in adjectives if word and word not in core.split(" "))
    phrase = noun_phrase(f"{core}{years.after and f' {years.after}'}{tail}".strip(), before)
    return _CONTRACTED.sub(lambda match: _CONTRACTIONS[match[0]], phrase)


def _age(text: str, possessive: str) -> _Age:
    wanted = text.lower()
    if wanted in _AGES:
        return _AGES[wanted]
    if match := _EXACT.fullmatch(wanted):
        number, unit = match[1], match[2] or "year"
        return _Age(f"{number}-{unit}-old", young=unit != "year" or (NUMBERS.get(number) or int(number)) < 18)
    if match := _DECADE.fullmatch(wanted):
        part = f"{match[1].rstrip(' -')} " if match[1] else ""
        return _Age(after=f"in {possessive} {part}{match[3] or _TENS[int(match[2]) - 2]}")
    if match := _BETWEEN.fullmatch(wanted):
        return _Age(after=f"aged {match[1]} to {match[2]}", young=int(match[2]) < 18)
    if match := _ABOUT.fullmatch(wanted):
        return _Age(after=f"{match[1]} {match[2]} years old")
    if english.starts_clause(text):
        return _Age(after=text)
    return _Age(before=text) if len(text.split(" ")) <= 3 and "," not in text else _Age(after=f"aged {text}")


# --- what the subject looks like ----------------------------------------------------------------------

_HAIR: Final = _words(
    """hair haircut hairstyle hairdo braid braids ponytail pigtails bun buns bob dreadlocks dreads locks curls
    afro bangs fringe mohawk mane tresses updo wig head plait plaits cornrows mullet undercut quiff crewcut
    beard mustache moustache sideburns fur feathers scalp Haar Haare cheveux pelo cabello capelli"""
)
_EYES: Final = _words(
    "eyes eye gaze pupils irises eyepatch heterochromia lashes eyelashes Augen yeux ojos occhi"
)
_CLOTHES_LIKE: Final = _words(
    """casual formal elegant sporty business festive traditional medieval modern vintage fancy warm colorful
    black white red blue green yellow brown gray grey pink purple orange gold silver smart chic gothic"""
)
_NAMED_BEFORE: Final = re.compile(
    r"(?:and )?(?:(?:wearing|wears|dressed in|clothed in|having|has|with|in) )+(?=\w)", re.IGNORECASE
)


def hair(items: Sequence[str]) -> str:
    head = split_head(items[0])[0]
    return _feature(
        items[0], "head" if re.search(r"\b(?:bald|balding|shaved|hairless)$", head, re.I) else "hair", _HAIR
    )


def eyes(items: Sequence[str]) -> str:
    return _feature(items[0], "eye" if items[0].lower().startswith(("one ", "single ")) else "eyes", _EYES)


def _feature(text: str, noun: str, names: frozenset[str]) -> str:
    """`text` about a feature that it may name itself ("green", "green eyes")."""
    text = _bare(text)
    if not names & set(text.replace(",", "").split(" ")):
        text = text.replace(",", "")
    head, tail = split_head(text)
    return noun_phrase(f"{head}{tail}" if names & set(head.split(" ")) else f"{head} {noun}{tail}")


def clothing(items: Sequence[str]) -> list[str]:
    bare = [_bare(item) for item in items]
    return [
        noun_phrase(f"{item} clothes" if item.rpartition(" ")[2] in _CLOTHES_LIKE else item) for item in bare
    ]


def accessories(items: Sequence[str]) -> list[str]:
    """What the subject has on or about it; what it does with something is `action`'s."""
    return [noun_phrase(item) for item in map(_bare, items) if not english.starts_clause(item)]


def action(items: Sequence[str]) -> str:
    """The accessories that come as a clause: "holding a cup"."""
    return join([item for item in map(_bare, items) if english.starts_clause(item)])


def _bare(text: str) -> str:
    """`text` without the "wearing" or "with" that the sentence brings."""
    return _without(_NAMED_BEFORE, text)


# --- where and how it is seen -------------------------------------------------------------------------

_PLACES: Final = {
    "at": _words(
        """edge foot entrance door gate seaside harbor harbour airport station party concert festival market
        table desk bar crossroads border end bottom window fireplace campfire waterfall fair carnival well"""
    ),
    "on": _words(
        """beach mountain mountaintop hill hilltop cliff roof rooftop street road bridge stage balcony terrace
        boat ship train island planet moon mars throne bench swing path porch deck pier farm shore shores
        coast bank hillside riverbank lawn sofa couch chair stairs staircase steps horse"""
    ),
    "beside": _words("lake river pond stream brook creek fountain"),
    "under": _words("sky stars arch archway canopy"),
    "against": _words("background backdrop wall horizon skyline sunset sunrise"),
}
_PREPOSITIONS: Final = {noun: preposition for preposition, nouns in _PLACES.items() for noun in nouns}
_BARE_PLACES: Final = {
    **dict.fromkeys(
        _words("home work school university sea sunset sunrise dawn dusk twilight night midnight noon"), "at"
    ),
    **dict.fromkeys(_words("mountains woods clouds hills tropics countryside rain snow wild"), "in the"),
    "stars": "under the",
    **dict.fromkeys(_words("bed winter summer spring autumn nature space town"), "in"),
}
_FOREIGN_PREPOSITIONS: Final = _words(
    "im am auf unter vor hinter neben bei dans sur sous devant en bajo sobre nel nella sotto"
)
_ADVERBS: Final = _words(
    "underwater outdoors indoors outside inside abroad nowhere everywhere somewhere upstairs downtown"
)
_SPOTS: Final = {"top": "at the top", "front": "in front"} | {
    spot: f"in the {spot}" for spot in ("middle", "center", "centre", "midst", "heart")
}
_SPOT_OF: Final = re.compile(rf"(?:the )?({'|'.join(_SPOTS)}) of (?=\w)", re.IGNORECASE)


def setting(items: Sequence[str]) -> str:
    """The place with its preposition: "at the edge of a forest", "on the beach", "in a library"."""
    text = english.uncapitalise(items[0])
    first = text.partition(" ")[0].lower()
    if first in _ADVERBS | _FOREIGN_PREPOSITIONS or english.starts_clause(text):
        return text
    if match := _SPOT_OF.match(text):
        return f"{_SPOTS[match[1].lower()]} of {noun_phrase(text[match.end() :])}"
    if text.lower() in _BARE_PLACES:
        return f"{_BARE_PLACES[text.lower()]} {text}"
    noun = split_head(text)[0].rpartition(" ")[2].lower()
    return f"{_PREPOSITIONS.get(noun, 'in')} {noun_phrase(text)}"


_LIT: Final = re.compile(r"(?:lit|backlit|illuminated|bathed|lighted)\b", re.IGNORECASE)
_LIGHTS: Final = _words(
    """glow lamp lamps fire candle candles lantern lanterns sun moon stars neon rays ray beam beams
    sunset sunrise dawn dusk sunshine sparkles flames torch torches bulb bulbs sign signs"""
)


def lighting(items: Sequence[str]) -> str:
    text = english.uncapitalise(items[0], names=False)
    if _LIT.match(text):
        return text
    if english.starts_clause(text):
        return f"lit {text}"
    head, tail = split_head(text)
    noun = head.rpartition(" ")[2].lower()
    if noun in ("lighting", "illumination", "chiaroscuro", "shadows", "contrast"):
        return f"lit with {noun_phrase(text)}"
    if noun in _LIGHTS or noun.endswith(("light", "lights")):
        return f"lit by {noun_phrase(text)}"
    return f"lit by {head} light{tail}" if tail.startswith(" ") else f"lit by {text} light"


_TONES: Final = _words("palette tones colors colours hues shades color colour scheme gradient tints")
_TONE_LIKE: Final = _words(
    """bright warm cool cold muted vivid pastel vibrant dark light neon rainbow earthy soft pale bold rich
    monochrome monochromatic sepia natural colorful colourful autumnal iridescent metallic dusty saturated"""
)


_IN_TONES: Final = re.compile(
    r"(?:in )?(?:(?:an? |the )?(?:palette|shades|tones|hues|colors|colours) of )?(?=\w)", re.IGNORECASE
)


def colors(items: Sequence[str]) -> str:
    named = [_without(_IN_TONES, item) for item in items]
    toned = [f"{item} tones" if item.rpartition(" ")[2] in _TONE_LIKE else item for item in named]
    if len(toned) > 1:
        return f"in a palette of {join(toned)}"
    is_tone = split_head(toned[0])[0].rpartition(" ")[2] in _TONES
    return f"in {noun_phrase(toned[0])}" if is_tone else f"in shades of {toned[0]}"


def framing(items: Sequence[str]) -> str:
    text = english.uncapitalise(items[0], names=False)
    first, last = text.partition(" ")[0], text.rpartition(" ")[2]
    if first.endswith("ing") and english.is_participle(first):
        return f"with the subject {text}"
    if english.is_participle(first):
        return text
    if first in english.PREPOSITIONS:
        return f"seen {text}"
    seen = {"angle": "seen from", "view": "seen in"}.get(last, "framed as")
    return f"{seen} {noun_phrase(text)}"


# --- the rest -----------------------------------------------------------------------------------------

_SENTENCE: Final = re.compile(
    r"(?:she|he|they|it|there|you|we|i|make|keep|let|give|put|ensure|do|don't)\b"
    r"|[\w' -]+? (?:is|are|was|were|has|have|had|should|must|can|will|wears|holds|smiles|looks)\b",
    re.IGNORECASE,
)
_ASKED: Final = re.compile(
    r"(?:please |and |also |add |include |show |with |featuring )+(?=\w)", re.IGNORECASE
)
_QUALITY: Final = re.compile(
    r"(?:^|\s)(?:\w{3,}ed|\w+ic|\d+k|hdr?|uhd|quality|resolution|focus|definition|masterpiece|bokeh|sharp|quality)$",
    re.IGNORECASE,
)


def details(items: Sequence[str]) -> str:
    """Details as a clause, or "" where they come as a sentence."""
    if remark(items):
        return ""
    asked = [_without(_ASKED, item) for item in items]
    loose = [item for item in asked if _QUALITY.search(item) or english.starts_clause(item)]
    things = [noun_phrase(item) for item in asked if item not in loose]
    return ", ".join([*([f"featuring {join(things)}"] if things else []), *loose])


def remark(items: Sequence[str]) -> str:
    """Details that are a sentence of their own: "She has freckles"."""
    text = english.uncapitalise(", ".join(items), names=False)
    return text if _SENTENCE.match(split_head(items[0])[0]) else ""


_NEGATED: Final = re.compile(
    r"(?:(?:please|no|not|without|avoid|avoiding|don't|do not|dont|never|exclude|any|use|include|show|have"
    r"|add|and|or) )+(?=\w)",
    re.IGNORECASE,
)
_FAULTY: Final = re.compile(
    r"(?:^|\s)(?:blurry|ugly|grainy|noisy|dark|bright|creepy|scary|messy|unrealistic|asymmetrical|cartoonish|bad"
    r"|(?!red|bed)\w{3,}ed)$"
)


def avoid(items: Sequence[str]) -> list[str]:
    """What the picture does without, whether or not it was put as a "no …"."""
    named = [_without(_NEGATED, item) for item in items]
    things = [noun_phrase(f"{item} features" if _FAULTY.search(item) else item) for item in named]
    return list(dict.fromkeys(things))
