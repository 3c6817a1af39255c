import base64
import json

import pytest

from imagegen.engines.errors import (
    BadEngineResponse,
)
from imagegen.engines.openai.engine import INLINE
from imagegen.engines.spool import Answer
from tests.fakes import server as faults
from tests.fakes.server import picture
from tests.imagegen.engines.openai.case import engine, make, through

PNG = picture(64, 64)


class TestParse:
    def parse(self, call, body, pictures=()):
        call.spool.answer.write_text(json.dumps(body))
        return engine().parse(Answer(body=call.spool.answer, pictures=list(pictures)))

    def test_both_fields_and_data_uris(self, call):
        text = base64.b64encode(PNG).decode()
        uri = f"data:image/png;base64,{text}"
        call.spool.picture(4).write_bytes(b"fetched")
        images = self.parse(
            call,
            {
                "data": [
                    {"b64_json": text, "url": None, "revised_prompt": None},
                    {"b64_json": None, "url": uri, "revised_prompt": 7},
                    {"b64_json": uri},
                    {"url": uri, "revised_prompt": "a crimson cat"},
                    {"b64_json": None, "url": "https://provider.example/x.png"},
                    {"url": "https://provider.example/could-not-be-fetched.png"},
                ]
            },
            [call.spool.picture(4)],
        )
        assert [image.data for image in images] == [PNG, PNG, PNG, PNG, b"fetched"]
        assert [image.revised_prompt for image in images] == ["", "", "", "a crimson cat", ""]

    def test_one_bad_picture_of_several_is_dropped(self, call):
        text = base64.b64encode(PNG).decode()
        data = [{"b64_json": text[:-2]}, {"b64_json": text, "respect_moderation": False}, {"b64_json": text}]
        assert len(self.parse(call, {"data": data})) == 1

    def test_the_same_live_and_recovered(self, proxy, call):
        _, images = make(through(proxy), call, n=2)
        recovered = Answer(body=call.spool.answer, pictures=sorted(call.spool.folder.glob("*.picture")))
        assert engine().parse(recovered) == images

    def test_no_picture_data_in_details(self, call):
        with pytest.raises(BadEngineResponse) as caught:
            self.parse(call, {"images": [base64.b64encode(PNG).decode()]})
        assert caught.value.detail == "no picture in an answer with ['images']"

    def test_an_answer_that_is_gone(self):
        with pytest.raises(BadEngineResponse):
            engine().parse(Answer())


def test_a_large_answer_waits_for_the_gate_unread(proxy, call):
    inline = base64.b64encode(picture(64, 64) + bytes(INLINE)).decode()
    proxy.fault = faults.status(200, json.dumps({"data": [{"b64_json": inline}]}).encode())
    _, images = make(through(proxy), call)
    assert call.gate.passed == 0
    assert len(images) == 1
