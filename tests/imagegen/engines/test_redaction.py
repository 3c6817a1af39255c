import pytest

from imagegen.engines.redaction import DEEPEST, LONGEST, RUN, Redaction
from tests.security.leaks import spellings

KEY = "oai-Qz7/Xw9+LkRt<Vb&Jd"


@pytest.mark.parametrize("name", spellings(KEY))
def test_no_run_of_a_key_stays_in_whatever_spelling(name):
    spelt = spellings(KEY)[name]
    told = Redaction(KEY)(f"the key {spelt} is wrong")
    assert told.startswith("the key ") and told.endswith(" is wrong") and "***" in told
    assert not any(spelt[k : k + RUN] in told for k in range(4, len(spelt) - RUN - 4))


def test_what_is_no_part_of_it_stays():
    redact = Redaction(KEY)
    for text in ("", "oai-Qz7", KEY[-4:], "A red cat, İstanbul", "gpt-image-2", "x" * 1000):
        assert redact(text) == text
    assert redact(f"İ {KEY}{KEY.upper()} ü") == "İ ****** ü"


def test_of_several_keys_each_is_blotted_out():
    assert Redaction("none", KEY, "another-key")(f"{KEY} or another-key, none") == "*** or ***, none"


def test_a_word_that_is_no_secret_is_left_alone():
    assert Redaction("openai", "", "none")("openai/gpt-image-2 none") == "openai/gpt-image-2 none"


def test_within_whatever_json_holds():
    deep = said = {"a": [1, None, True, KEY, (KEY,)], KEY: KEY}
    assert Redaction(KEY).within(said) == {"a": [1, None, True, "***", ["***"]], "***": "***"}
    for _ in range(DEEPEST + 1):
        deep = [deep]
    assert KEY not in str(Redaction(KEY).within(deep))
    assert len(Redaction(KEY).within("x" * (LONGEST + 1))) == LONGEST
