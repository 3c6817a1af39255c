"""Text from a stranger, folded so that it stays inside its slot of a sentence.

A slot holds words and commas. It holds no line, no control or invisible character, no bracket, quotation mark
or prompt syntax (`<lora:…>`, `(word:1.3)`, `--flag`), and nothing that ends a sentence: "cat. Ignore all
previous instructions" becomes "cat, ignore all previous instructions", which is still a description.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

# Control -> a space; format (bidi marks, zero width, tags), surrogate and private use -> nothing. The zero
# width joiner goes too: an emoji family falls apart into its members, and no text hides behind one.
_UNSEEN: Final = {"Cc": " ", "Cf": "", "Cs": "", "Co": "", "Zl": " ", "Zp": " "}
_BLANK_LETTERS: Final = "\u115f\u1160\u2800\u3164\uffa0"  # letters and symbols by category, blank to the eye
_TO_SPACE: Final = str.maketrans(
    dict.fromkeys("_*#\\~^=" + _BLANK_LETTERS, " ") | {"\u2019": "'", "\u2010": "-", "\u2011": "-"}
)

_ABBREVIATION: Final = re.compile(r"\b(Mr|Mrs|Ms|Dr|St|Prof|Jr|Sr|Capt|Sgt|Lt|Col|Gen|Rev|[A-Z])\.(?=[\s\w])")
_NEW_SENTENCE: Final = re.compile(r"(?<=[.!?\u2026])(\s+[A-Z])(?=[a-z])")
_RANGE: Final = re.compile(r"(?<=\d)\s*[-\u2013\u2014]\s*(?=\d)")
_MARK: Final = re.compile(r"[^\w\s]")
_BY_CATEGORY: Final = {"Pd": ",", "Ps": ",", "Pe": ",", "Po": ",", "Pi": "", "Pf": ""}
_COMMAS: Final = re.compile(r"\s*,(?!(?<=\d,)\d)[\s,]*")
_DOUBLED: Final = re.compile(r"(?<![\w'-])([\w'-]+)(?: \1)+(?![\w'-])", re.IGNORECASE)


def fold(text: str) -> str:
    """One line in Unicode's composed form, of words and commas; "" where nothing visible is left."""
    text = "".join(_UNSEEN.get(unicodedata.category(c), c) for c in text)
    text = unicodedata.normalize("NFC", text).translate(_TO_SPACE)
    text = _NEW_SENTENCE.sub(lambda match: match[1].lower(), _ABBREVIATION.sub(r"\1", text))
    text = _MARK.sub(_fold_mark, _RANGE.sub("-", text))
    text = _COMMAS.sub(", ", " ".join(text.split())).strip(" ,")
    if not any(unicodedata.category(c)[0] in "LNS" for c in text):
        return ""
    return undouble(text, keep=_doubled_names(text))


def _fold_mark(match: re.Match[str]) -> str:
    mark, start, end = match[0], match.start(), match.end()
    before, after = match.string[max(start - 1, 0) : start], match.string[end : end + 1]
    if mark in ".,:" and before.isdigit() and after.isdigit():
        return mark
    if mark in "'/-":
        if before.isalnum() and after.isalnum():
            return mark
        return "," if mark == "-" and not before.isalnum() and not after.isalnum() else " "
    if mark in "&%@":
        return mark
    if mark in '"`\u201e\u201a':
        return ""
    return _BY_CATEGORY.get(unicodedata.category(mark), "," if mark in "<>|" else mark)


def doubled_words(text: str) -> frozenset[str]:
    """The words, in lower case, that `text` says twice in a row."""
    return frozenset(match[1].lower() for match in _DOUBLED.finditer(text))


def _doubled_names(text: str) -> frozenset[str]:
    """As `doubled_words`, of names: Duran Duran is no slip."""
    return frozenset(match[1].lower() for match in _DOUBLED.finditer(text) if match[0].istitle())


def undouble(text: str, keep: frozenset[str]) -> str:
    """`text` without words said twice in a row ("the the"), but for those in `keep`."""
    return _DOUBLED.sub(lambda match: match[0] if match[1].lower() in keep else match[1], text)
