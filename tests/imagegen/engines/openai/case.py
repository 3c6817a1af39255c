"""What the tests of this engine share."""

import io

from PIL import Image

from imagegen.engines.base import EngineConfig, ImageRequest
from imagegen.engines.openai import OpenAI
from tests.fakes import litellm


def engine(url="https://api.openai.com/v1", key=litellm.KEY, **config):
    return OpenAI(EngineConfig("ours", url, key=key, **config))


def make(made_by, call, prompt="a red cat", model="grok-imagine-image", **request):
    answer = made_by.generate(ImageRequest(prompt=prompt, model=model, **request), call)
    return answer, made_by.parse(answer)


def size_of(image):
    return Image.open(io.BytesIO(image.data)).size


def through(proxy, **config):
    return engine(proxy.url, trusted_origins=(proxy.files.url,), **config)
