"""The API's description, and the page that shows it."""

import re

import pytest
from drf_spectacular.generators import SchemaGenerator

METHODS = {"get", "post", "put", "patch", "delete"}


@pytest.fixture(scope="module")
def described():
    return SchemaGenerator().get_schema(request=None, public=True)


@pytest.fixture(scope="module")
def operations(described):
    return [operation for path in described["paths"].values() for operation in path.values()]


def test_both_families_are_there_and_the_alias_is_not(described):
    assert "/api/mind/profile/generatePortrait" in described["paths"]
    assert "/api/images/generations" in described["paths"]
    assert not any(path.startswith("/api/v1/images") for path in described["paths"])


def test_every_operation_has_a_name_of_its_own(operations):
    names = [operation["operationId"] for operation in operations]
    assert len(names) == len(set(names))
    assert all(re.fullmatch("[a-z]+([A-Z][a-z]*)+", name) for name in names), names


def test_every_operation_belongs_to_a_tag_that_is_explained(described, operations):
    explained = {tag["name"] for tag in described["tags"] if tag["description"]}
    assert {tag for operation in operations for tag in operation["tags"]} == explained


def test_every_response_is_explained_and_carries_the_trace_id(operations):
    for operation in operations:
        for status, response in operation["responses"].items():
            assert response["description"]
            assert "X-Trace-Id" in response["headers"]
            assert ("Retry-After" in response["headers"]) == (status in {"409", "429", "503"})


def test_every_error_has_an_example(operations):
    for operation in operations:
        for status, response in operation["responses"].items():
            if status >= "400" and "content" in response:
                assert response["content"]["application/json"]["examples"], (operation["operationId"], status)


def test_no_docstring_that_is_for_its_author(described):
    assert "any_text" not in str(described)


class TestPage:
    @pytest.fixture
    def page(self, client):
        return client.get("/api/docs")

    def test_it_loads_nothing_from_elsewhere(self, page):
        sources = re.findall(r'(?:src|href)="([^"]+)"', page.text)
        assert sources and all(source.startswith("/") for source in sources)

    def test_it_needs_nothing_unsafe(self, page):
        policy = page.headers["Content-Security-Policy"]
        assert "unsafe" not in policy
        assert "script-src 'self';" in policy and "style-src 'self';" in policy
        assert "<script>" not in page.text and "<style" not in page.text and "style=" not in page.text

    def test_its_script_reads_the_csrf_cookie_for_each_request(self, client):
        script = client.get("/api/docs?script=")
        assert script.headers["Content-Type"].startswith("application/javascript")
        assert "document.cookie" in script.text
