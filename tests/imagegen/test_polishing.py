"""Prompts polished by a chat model, and every way in which that can fail."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from imagegen import polishing
from imagegen.models import EngineConnection, ImageSettings
from imagegen.polishing import polish
from tests.fakes import server as faults
from tests.fakes.chat import POLISHED
from tests.fakes.litellm import KEY, LiteLLM

PROMPT = "A cheerful watercolor portrait of a pixie."

pytestmark = pytest.mark.django_db


@pytest.fixture
def proxy() -> Iterator[LiteLLM]:
    with LiteLLM() as running:
        yield running


@pytest.fixture
def connection(proxy: LiteLLM, select: Callable[..., EngineConnection]) -> EngineConnection:
    return select("chat", "openai", "polish", key=KEY, base_url=proxy.url, default_model="gpt-5-mini")


def polished() -> str:
    return polish(PROMPT, ImageSettings.objects.current())


@pytest.mark.usefixtures("connection")
class TestPolished:
    def test_by_the_chat_model(self, proxy: LiteLLM) -> None:
        assert polished() == POLISHED
        (request,) = proxy.requests
        assert request.json["model"] == "gpt-5-mini"
        system, user = request.json["messages"]
        assert (system["role"], system["content"]) == ("system", polishing.INSTRUCTION)
        assert (user["role"], user["content"]) == ("user", PROMPT)

    @pytest.mark.parametrize(
        ("says", "becomes"),
        [
            (f"  {POLISHED}\n", POLISHED),
            (f'"{POLISHED}"', POLISHED),
            (f"“{POLISHED}”\n", POLISHED),
            ("A  portrait\tof\u00a0a pixie", "A portrait of a pixie"),
            ('A portrait of "Bob"', 'A portrait of "Bob"'),
            ("x" * 999, "x" * 999),
        ],
    )
    def test_as_one_clean_line(self, proxy: LiteLLM, says: str, becomes: str) -> None:
        proxy.says = says
        assert polished() == becomes


@pytest.mark.usefixtures("connection")
class TestTheDeterministicPromptStands:
    @pytest.mark.parametrize(
        "says",
        [
            "",
            " \n ",
            '""',
            '"',
            None,
            7,
            ["A portrait"],
            "x" * 1000,
            "Sure! Here is your prompt:\n\nA portrait of a pixie.",
            "A portrait\rof a pixie",
            "A portrait\u2028of a pixie",
            "A portrait \x00 of a pixie",
            "A portrait \x1b[31m of a pixie",
            "A portrait \u202e of a pixie",
            "A portrait \ud800 of a pixie",
        ],
        ids=ascii,
    )
    def test_over_an_answer_that_is_no_prompt(self, proxy: LiteLLM, says: object) -> None:
        proxy.says = says
        assert polished() == PROMPT
        assert len(proxy.requests) == 1

    @pytest.mark.parametrize(
        "fault",
        [
            faults.error_500,
            faults.error_html,
            faults.broken_json,
            faults.wrong_shape,
            faults.cut_before_headers,
            faults.cut_in_body,
            faults.rate_limited(),
            faults.status(401),
        ],
    )
    def test_over_a_fault(self, proxy: LiteLLM, fault: faults.Fault) -> None:
        proxy.fault = fault
        assert polished() == PROMPT
        assert len(proxy.requests) == 1

    def test_past_the_deadline(self, proxy: LiteLLM, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(polishing, "DEADLINE", 1.0)
        proxy.fault = faults.silent
        assert polished() == PROMPT
        assert len(proxy.requests) == 1

    def test_over_a_server_that_is_gone(self, connection: EngineConnection) -> None:
        connection.base_url = "http://127.0.0.1:9"
        connection.save()
        assert polished() == PROMPT

    def test_over_a_key_that_cannot_be_read(self, proxy: LiteLLM, connection: EngineConnection) -> None:
        EngineConnection.objects.filter(pk=connection.pk).update(encrypted_key="broken")
        assert polished() == PROMPT
        assert not proxy.requests

    def test_while_the_connection_is_switched_off(self, proxy: LiteLLM, connection: EngineConnection) -> None:
        connection.enabled = False
        connection.save()
        assert polished() == PROMPT
        assert not proxy.requests


def test_without_a_chat_model() -> None:
    assert polished() == PROMPT


def test_an_engine_without_one(select: Callable[..., EngineConnection]) -> None:
    select("pictures", "dicebear", "polish")
    assert polished() == PROMPT
