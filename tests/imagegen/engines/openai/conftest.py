import pytest

from tests.fakes import litellm


@pytest.fixture
def proxy():
    with litellm.LiteLLM(more={"gpt-image-2": ("openai", "gpt-image-2")}) as running:
        yield running
