"""What a prompt asks to see, read word by word: prompt in, `Traits` out.

Every value in `Traits` comes from words.toml, never from the prompt, so nothing that somebody
typed can reach the drawing. Reading is one pass over at most `MAX_CHARACTERS` and looks a few words
ahead and back, so it takes linear time on anything.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

MAX_CHARACTERS = 4000
_REACH = 4
"""How many words away a colour or another adjective may stand from its noun."""


@dataclass(frozen=True)
class Traits:
    """What was said, and only that. An empty string, set or mapping means that nothing was.

    Attributes:
        person: somebody is described.
        gender: `woman` or `man`.
        age: `child` or `old`.
        mood: one of the moods there.
        hair: of `bald`, `long`, `medium`, `short`, `curly`, `wavy`, `straight`, `spiky`, `bun`, `bob`,
            `fringe`, `pigtails`, `undercut`.
        parts: what is worn or grown (`beard`, `glasses`, `hat`, `clothes`, `ears`, `scarf`, `earrings`,
            `cheeks`) to its kind. `none` means that it was ruled out.
        colours: hex colours by part, and those of `hair`, `skin`, `eyes` and `background`.
        place: hex colour of the place or the time of day.
        scene: an abstract style that suits the subject, unless that is an
        icon: a thing that can be drawn. Of the two, the one named first.
        palette: every colour named, in order, as hex.
        monochrome: black and white was asked for.
    """

    person: bool = False
    gender: str = ""
    age: str = ""
    mood: str = ""
    hair: frozenset[str] = frozenset()
    parts: Mapping[str, str] = field(default_factory=dict)
    colours: Mapping[str, str] = field(default_factory=dict)
    place: str = ""
    scene: str = ""
    icon: str = ""
    palette: tuple[str, ...] = ()
    monochrome: bool = False


def read(prompt: str) -> Traits:
    """Read `prompt`; words it does not know, it passes over."""
    words = _WORDS.findall(prompt[:MAX_CHARACTERS].lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'"))
    return _Reading(words).traits()


_WORDS = re.compile(r"[a-z]+(?:'[a-z]+)?|[0-9]+|[,.;:!?()\n]")

_KNOWN: dict[str, Any] = tomllib.loads(Path(__file__).with_name("words.toml").read_text("utf-8"))


def _by_word(table: str) -> dict[str, str]:
    """A table of `kind = "word word"`, turned round: each word to its kind."""
    return {word: kind for kind, words in _KNOWN[table].items() for word in words.split()}


_PEOPLE, _AGES, _MOODS, _NOUNS = (_by_word(table) for table in ("people", "ages", "moods", "nouns"))
_KINDS, _HAIR_ADJECTIVES, _PLACES = (_by_word(table) for table in ("kinds", "hair", "places"))
_SCENES, _ICONS = _by_word("scenes"), _by_word("icons")
_HATS_BEFORE: dict[str, str] = _KNOWN["hats_before"]
_SUBJECTS = _SCENES.keys() | _ICONS.keys()
_COLOURS, _HAIR_COLOURS, _SHADES = _KNOWN["colours"], _KNOWN["hair_colours"], _KNOWN["shades"]
_PLAIN_COLOURS: dict[str, str] = {"dark": "#2d3142", "light": "#eef1f4", "pale": "#eef1f4"} | _COLOURS
_OWN_COLOURS = {
    "hair": _HAIR_COLOURS,
    "beard": _HAIR_COLOURS | {"light": ""},  # a light beard is a thin one
    "skin": _KNOWN["skin_colours"],
    "eyes": _KNOWN["eye_colours"],
}
_ORIGINS, _MATERIALS, _ROLES = _KNOWN["origins"], _KNOWN["materials"], _KNOWN["roles"]
_CREATURES, _PLAIN_PEOPLE = (
    frozenset(_KNOWN["skins"][kind].split()) for kind in ("creatures", "plain_people")
)
_NEGATIONS, _LINKS, _BREAKS = (
    frozenset(_KNOWN["grammar"][kind].split()) for kind in ("negations", "links", "breaks")
)
_ENDS = frozenset(".;:!?()\n")
_ANY_KIND = {
    "beard": "fullBeard",
    "glasses": "round",
    "hat": "fedora",
    "scarf": "scarf",
    "earrings": "hoop",
    "cheeks": "freckles",
}
_WORN = frozenset({"beard", "glasses", "hat", "scarf", "earrings", "cheeks"})
_GARMENTS_BEFORE = {("turtle", "neck"): "turtleNeck", ("t", "shirt"): "tShirt"}
_BALD, _OLD = frozenset({"bald", "balding", "hairless"}), frozenset({"old", "elderly", "ancient"})
_PEOPLES_SKINS = frozenset({"black", "brown", "white", "pale", "dark", "fair"})
_LONG, _SQUARE = frozenset({"long", "bushy"}), frozenset({"square", "rectangular"})


class _Reading:
    """One pass over the words of one prompt."""

    def __init__(self, words: list[str]) -> None:
        self.words = words
        self.nouns = [self._noun(i) for i in range(len(words))]
        self.negated = list(self._negations())
        self.parts: dict[str, str] = {}
        self.colours: dict[str, str] = {}
        self.hair: set[str] = set()
        self.palette: list[str] = []

    def traits(self) -> Traits:
        for i, word in enumerate(self.words):
            self._adjective(i, word)
            self._part(i, word)
            self._colour(i, word)
        said = [word for word, negated in zip(self.words, self.negated, strict=True) if not negated]
        self._roles(said)
        age = self._age(said)
        if self.parts.get("hair") == "none":
            self.hair = {"bald"}
        person = bool(
            any(word in _PEOPLE for word in said)
            or self.hair
            or {"beard", "glasses", "ears"} & self.parts.keys()
            or {"hair", "skin", "eyes"} & self.colours.keys()
            or ({"portrait", "profile"} & set(said) and not any(word in _SUBJECTS for word in said))
        )
        subject = self._subject(said)
        return Traits(
            person=person,
            gender=next((kind for word in said if (kind := _PEOPLE.get(word, "anyone")) != "anyone"), ""),
            age=age,
            mood=self._first(_MOODS, said),
            hair=frozenset(self.hair),
            parts={name: kind for name, kind in self.parts.items() if name != "hair"},
            colours=self.colours,
            place=self._first(_PLACES, said),
            scene=_SCENES.get(subject, "") if subject not in _ICONS else "",
            icon=_ICONS.get(subject, ""),
            palette=tuple(dict.fromkeys(self.palette)),
            monochrome="monochrome" in said or "noir" in said or self._black_and_white(),
        )

    @staticmethod
    def _first(table: Mapping[str, str], words: Iterable[str]) -> str:
        return next((table[word] for word in words if word in table), "")

    @staticmethod
    def _subject(said: list[str]) -> str:
        """The first scene or thing named; "a logo of a bicycle" is about the bicycle."""
        named = [word for word in said if word in _SUBJECTS]
        return next((word for word in named if _SCENES.get(word) != "shapes"), named[0] if named else "")

    def _at(self, i: int) -> str:
        return self.words[i] if 0 <= i < len(self.words) else ""

    def _noun(self, i: int) -> str:
        """The part that word i names, `person` for somebody, or nothing."""
        word = self.words[i]
        if word in _PEOPLE:
            return "person"
        if word == "glasses" and (self._at(i - 1) in {"wine", "drinking"} or self._at(i + 1) == "of"):
            return ""
        return _NOUNS.get(word, "")

    def _negations(self) -> Iterator[bool]:
        """For each word, whether it is ruled out: from `without` to the end of the clause.

        `and` ends it unless a bare noun follows: "no hat and beard" rules out both, "no hat and a beard"
        does not.
        """
        active = False
        for i, word in enumerate(self.words):
            if word in _NEGATIONS:
                active = True
            elif (
                word in _ENDS
                or word in {",", "but", "with"}
                or (word == "and" and not self._names_part(i + 1))
            ):
                active = False
            suffix = word.endswith("less") and word.removesuffix("less") in _NOUNS
            yield active or suffix

    def _names_part(self, i: int) -> bool:
        return i < len(self.words) and self.nouns[i] not in {"", "person"}

    def _target(self, i: int) -> int | None:
        """Where the noun of the adjective at i stands: ahead if there is one, else back over `is` or `in`."""
        for j in range(i + 1, min(i + 1 + _REACH, len(self.words))):
            word = self.words[j]
            if self.nouns[j]:
                return j
            if word in _ENDS or word in _BREAKS or (word in {"and", ","} and not self._is_adjective(j + 1)):
                break
        for j in range(i - 1, max(i - 1 - _REACH, -1), -1):
            if self.nouns[j]:
                return j
            if not (self.words[j] in _LINKS or self._is_adjective(j)):
                break
        return None

    def _target_part(self, i: int) -> str:
        target = self._target(i)
        return "" if target is None else self.nouns[target]

    def _is_adjective(self, i: int) -> bool:
        word = self._at(i)
        return word in _COLOURS or word in _HAIR_COLOURS or word in _SHADES or word in _HAIR_ADJECTIVES

    def _adjective(self, i: int, word: str) -> None:
        if self.negated[i]:
            return
        if word in _BALD or (word in {"shaved", "shaven"} and self._at(i + 1) == "head"):
            self.hair.add("bald")
        elif word in {"shaven", "shaved"} and self._at(i - 1) in {"clean", "freshly"}:
            self.parts.setdefault("beard", "none")
        elif word in _HAIR_ADJECTIVES:
            part = self._target_part(i)
            if part == "hair" or (part == "person" and word not in {"long", "short", "straight", "wild"}):
                self.hair.add(_HAIR_ADJECTIVES[word])

    def _part(self, i: int, word: str) -> None:
        """What word i says to be there, or not."""
        part = _NOUNS.get(word.removesuffix("less"), "") if word.endswith("less") else self.nouns[i]
        if part == "hair":
            self._hair_noun(i, word)
        elif part in _WORN and self.negated[i]:
            self.parts.setdefault(part, "none")
        elif part in _WORN or part == "clothes":
            kind = self._kind(i, word, part)
            if kind and not self.negated[i]:
                self.parts[part] = self._both(self.parts.get(part, kind), kind)
                if word in _MATERIALS:
                    self.colours.setdefault(part, _MATERIALS[word])

    def _hair_noun(self, i: int, word: str) -> None:
        if not self.negated[i]:
            self.hair |= {_KINDS[word]} if word in _KINDS else set()
        elif self._at(i - 1) not in _HAIR_ADJECTIVES:  # "no long hair" is no bald head
            self.parts.setdefault("hair", "none")

    @staticmethod
    def _both(first: str, second: str) -> str:
        """The first mention stands, but a beard and a moustache are a full beard, and a long one is long."""
        beards = {first, second} & {"fullBeard", "longBeard", "chinMoustache", "moustacheTwirl"}
        return first if len(beards) < 2 else "longBeard" if "longBeard" in beards else "fullBeard"

    def _kind(self, i: int, word: str, part: str) -> str:
        before = {self._at(i - k) for k in (1, 2, 3)}
        if part == "beard" and before & _LONG and word.startswith("beard"):
            return "longBeard"
        if part == "glasses" and word not in _KINDS:
            return "sunglasses" if "sun" in before else "square" if before & _SQUARE else "round"
        if part == "hat" and (kind := _HATS_BEFORE.get(self._at(i - 1))):
            return kind
        if part == "clothes" and (kind := _GARMENTS_BEFORE.get((self._at(i - 1), word))):
            return kind
        return _KINDS.get(word, _ANY_KIND.get(part, ""))

    def _colour(self, i: int, word: str) -> None:
        if self.negated[i]:
            return
        if word in _ORIGINS:
            self.colours.setdefault("skin", _ORIGINS[word])
        if word not in _COLOURS and word not in _HAIR_COLOURS and word not in _SHADES:
            return
        if word in _SHADES and (self._at(i + 1) in _COLOURS or self._at(i + 1) in _HAIR_COLOURS):
            return  # "dark blue": the colour itself brings its shade along
        shade = _SHADES.get(self._at(i - 1), 0.0)
        if word in _COLOURS:
            self.palette.append(shaded(_COLOURS[word], shade))
        part = self._target_part(i)
        if part == "person":
            part = self._part_of_person(i, word)
        named = self._named(word, part)
        if part and named:
            self.colours.setdefault(part, shaded(named, shade))

    def _part_of_person(self, i: int, word: str) -> str:
        """What a colour tells of somebody: a ginger man's hair, a black woman's skin, a red knight's coat."""
        if word in _HAIR_COLOURS and word not in _COLOURS and word not in _SHADES:
            return "hair"
        target = self._target(i)
        person = self.words[target] if target is not None and target > i else ""
        if person in _CREATURES or (person in _PLAIN_PEOPLE and word in _PEOPLES_SKINS):
            return "skin"
        return "clothes" if word in _COLOURS else ""

    @staticmethod
    def _named(word: str, part: str) -> str:
        """The hex colour that `word` means for `part`: red hair is not the red of a car."""
        own: dict[str, str] = _OWN_COLOURS.get(part, {})
        return own.get(word, _PLAIN_COLOURS.get(word, ""))

    def _roles(self, said: list[str]) -> None:
        """What goes without saying: a knight's helmet, a pixie's ears. What was said stands."""
        for role in (_ROLES[word] for word in said if word in _ROLES):
            self.parts = role.get("parts", {}) | self.parts
            self.colours = role.get("colours", {}) | self.colours

    def _age(self, said: list[str]) -> str:
        for i, word in enumerate(self.words):
            years = self._at(i + 1) in {"year", "years", "yr"} or self._at(i - 1) == "aged"
            if years and word.isdigit() and len(word) < 4:
                return "old" if int(word) >= 60 else "child" if int(word) <= 12 else ""
            said_of_person = self._target_part(i) == "person" and self._at(i - 1) != "in"
            if word in _OLD and not self.negated[i] and said_of_person:
                return "old"
        return self._first(_AGES, said)

    def _black_and_white(self) -> bool:
        """Of the picture as a whole: "a black and white portrait", not "a black and white shirt"."""
        triple = ("black", "and", "white")
        return any(
            tuple(self.words[i : i + 3]) == triple and self._target_part(i + 2) in {"", "person"}
            for i, word in enumerate(self.words)
            if word == "black"
        )


def shaded(colour: str, amount: float) -> str:
    """`colour` mixed with white (`amount` up to 1) or black (down to -1)."""
    goal = 255 if amount > 0 else 0
    channels = (int(colour[k : k + 2], 16) for k in (1, 3, 5))
    return "#" + "".join(f"{round(c + (goal - c) * abs(amount)):02x}" for c in channels)
