"""Descriptive selections in, one prompt out: a sentence or two of English that an image engine understands.

The same selections always give the same prompt. `validate` refuses what is not text and folds what is;
`build` gives every slot its grammatical form and puts the forms in order:

    A cheerful watercolor portrait of a pixie with green eyes, wearing a red coat, at the edge of a forest, …
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from portraits import english, phrases
from portraits.english import join, shorten
from portraits.folding import doubled_words, fold, undouble
from portraits.selections import MAX_ITEMS, SELECTIONS, Selection

__all__ = ["MAX_LENGTH", "SELECTIONS", "SelectionError", "build", "validate"]

MAX_LENGTH: Final = 999
"""Of a prompt, in characters."""

Values = Mapping[str, str | tuple[str, ...]]

_DEFAULT_FRAMING: Final = "framed from the shoulders up"
_SHORTEST_CLAUSE: Final = 30
_LONGEST_SENTENCE: Final = 4  # parts between commas
# What goes first when everything does not fit.
_LEAST_IMPORTANT_FIRST: Final = (
    "avoid",
    "details",
    "remark",
    "technique",
    "framing",
    "colors",
    "lighting",
    "feeling",
    "action",
    "accessories",
    "eyes",
    "hair",
    "clothing",
    "setting",
)


class SelectionError(ValueError):
    """Selections that break a rule. `errors` maps each bad field to sentences saying which."""

    def __init__(self, errors: dict[str, list[str]]) -> None:
        super().__init__("; ".join(f"{field}: {' '.join(rules)}" for field, rules in errors.items()))
        self.errors = errors


# --- validation ---------------------------------------------------------------------------------------


def validate(selections: Mapping[str, object]) -> dict[str, str | tuple[str, ...]]:
    """The fields that say something, folded. A list comes out as a tuple without repetitions.

    None, "" and text of which folding leaves nothing are absent; unknown fields are ignored.

    Raises:
        SelectionError: wrong type, too long, too many items, or neither a subject nor a style.
    """
    cleaned: dict[str, str | tuple[str, ...]] = {}
    errors: dict[str, list[str]] = {}
    for field, selection in SELECTIONS.items():
        given = selections.get(field)
        if given is None:
            continue
        if rules := _broken_rules(given, selection):
            errors[field] = rules
        elif isinstance(given, str):
            cleaned[field] = _clean(given, selection)
        elif isinstance(given, list | tuple):
            folded = {text.casefold(): text for text in (_clean(item, selection) for item in given) if text}
            cleaned[field] = tuple(folded.values())
    cleaned = {field: value for field, value in cleaned.items() if value}
    if not cleaned.keys() & {"subject", "style"} and not errors.keys() & {"subject", "style"}:
        errors["subject"] = ["A subject or a style is required."]
    if errors:
        raise SelectionError(errors)
    return cleaned


def _broken_rules(given: object, selection: Selection) -> list[str]:
    if isinstance(given, str):
        items: list[object] = [given]
    elif selection.multiple and isinstance(given, list | tuple):
        items = list(given)
    else:
        return ["Must be a string or a list of strings." if selection.multiple else "Must be a string."]
    rules = []
    if len(items) > MAX_ITEMS:
        rules.append(f"Must have at most {MAX_ITEMS} items.")
    if not all(isinstance(item, str) for item in items):
        rules.append("Every item must be a string.")
    if any(isinstance(item, str) and len(item.strip()) > selection.max_length for item in items):
        subject = "Must" if isinstance(given, str) else "Every item must"
        rules.append(f"{subject} have at most {selection.max_length} characters.")
    return rules


def _clean(text: str, selection: Selection) -> str:
    folded = shorten(fold(text.strip()), selection.max_length)  # a mark may fold into two characters
    return "" if folded.casefold() in {"none", "n/a", "any", "unspecified"} else folded


# --- the sentence -------------------------------------------------------------------------------------


def build(selections: Values) -> str:
    """The prompt for what `validate` returned: a capital, a full stop, at most MAX_LENGTH characters."""
    said = {field: _said(field, value) for field, value in selections.items()}
    keep = frozenset(word for items in said.values() for item in items for word in doubled_words(item))
    opening, clauses = _forms(said)
    prompt = undouble(_sentences(opening, clauses), keep)
    for name in _LEAST_IMPORTANT_FIRST:
        while clauses.get(name) and (excess := len(prompt) - MAX_LENGTH) > 0:
            clauses[name] = _shrunk(clauses[name], excess)
            prompt = undouble(_sentences(opening, clauses), keep)
    return prompt


def _shrunk(phrases: list[str], excess: int) -> list[str]:
    """Without the last phrase, or with it cut to a part that is still worth saying."""
    *others, last = phrases
    room = len(last) - excess
    return [*others, shorten(last, room)] if room >= _SHORTEST_CLAUSE else others


def _said(field: str, value: str | tuple[str, ...]) -> tuple[str, ...]:
    """What a field says, as items. Fields that hold several things are split at their commas."""
    selection = SELECTIONS[field]
    phrases = [selection.phrase(text) for text in ([value] if isinstance(value, str) else value)]
    if field in _SEVERAL:
        phrases = [item for phrase in phrases for item in _SEVERAL[field].split(phrase) if item]
    return tuple({phrase.casefold(): selection.phrase(phrase) for phrase in phrases}.values())


_SERIES: Final = re.compile(r", (?:and |or )?")
_SEVERAL: Final = {
    "clothing": _SERIES,
    "accessories": _SERIES,
    "colors": re.compile(r", (?:and )?| and | & "),
    "details": _SERIES,
    "avoid": re.compile(r", (?:and |or )?| and | or "),
}
# Clause -> the field it is made of, and how.
_FORMS: Final[Mapping[str, tuple[str, Callable[[Sequence[str]], str | list[str]]]]] = {
    "hair": ("hair", phrases.hair),
    "eyes": ("eyes", phrases.eyes),
    "accessories": ("accessories", phrases.accessories),
    "clothing": ("clothing", phrases.clothing),
    "action": ("accessories", phrases.action),
    "setting": ("setting", phrases.setting),
    "framing": ("framing", phrases.framing),
    "lighting": ("lighting", phrases.lighting),
    "colors": ("colors", phrases.colors),
    "details": ("details", phrases.details),
    "remark": ("details", phrases.remark),
    "avoid": ("avoid", phrases.avoid),
}


def _forms(said: Mapping[str, tuple[str, ...]]) -> tuple[str, dict[str, list[str]]]:
    """The opening ("a cheerful watercolor portrait of a pixie") and the clauses that may follow it."""
    style, mood, subject, age, gender = (
        said.get(field, ("",))[0] for field in ("style", "mood", "subject", "age", "gender")
    )
    drawn, subject = phrases.picture_and_subject(subject)
    picture, technique = phrases.style(style or drawn)
    front, feeling = phrases.mood(mood, picture)
    who = phrases.subject(subject, age, gender)
    opening = f"{english.with_article(f'{front} {picture}'.strip())} of {who}"
    clauses = {"technique": [technique], "feeling": [feeling], "framing": [_DEFAULT_FRAMING]}
    for name, (field, form) in _FORMS.items():
        if field in said:
            made = form(said[field])
            clauses[name] = [made] if isinstance(made, str) else made
    return opening, clauses


def _sentences(opening: str, clauses: Mapping[str, Sequence[str]]) -> str:
    """The scene and how it is seen: in one sentence, or in two where one would run on."""

    def present(*names: str) -> list[str]:
        return [phrase for name in names for phrase in clauses.get(name, ()) if phrase]

    scene, features, worn = opening, present("hair", "eyes", "accessories"), present("clothing")
    if features:
        scene += f"{',' if ',' in opening or ' with ' in opening else ''} with {join(features)}"
    parts = [f"wearing {join(worn)}"] if worn else []
    parts += present("action")
    place = present("setting")
    if place and scene == opening and "," not in opening and not parts:
        scene += f" {place.pop()}"
    parts = [scene, *parts, *place, *present("feeling", "details")]
    views = present("technique", "framing", "lighting", "colors")
    unwanted = present("avoid")
    without = [f"without {join(unwanted, 'or')}"] if unwanted else []
    remark = present("remark")
    # After a hat, "painted in soft washes" would speak of the hat.
    astray = present("technique") and (features or worn)
    if not views or (len([*parts, *views, *without]) <= _LONGEST_SENTENCE and not astray):
        sentences = [", ".join([*parts, *views, *without]), *remark]
    else:
        made = [view for view in views if english.is_participle(view.partition(" ")[0])]
        others = [view for view in views if view not in made]
        seen = ", ".join([join(made) or others.pop(0), *others, *without])
        sentences = [", ".join(parts), "; ".join([f"the portrait is {seen}", *remark])]
    return ". ".join(sentence[0].upper() + sentence[1:] for sentence in sentences) + "."
