"""The API's description holds: schemathesis asks whatever it can think of, and the application answers
as described. No 5xx, no undocumented status or content type, no body or header that breaks its schema.
"""

import hypothesis
import pytest
import schemathesis
from django.db import connection
from schemathesis.checks import load_all_checks
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from config.wsgi import application
from imagegen.access import tokens

load_all_checks()
api = schemathesis.openapi.from_wsgi("/api/schema", application, base_url="http://testserver")
# A schema cannot say that names and values of unknown fields hold no NUL either.
api.config.generation.update(with_security_parameters=False, allow_x00=False)

# What no schema can say, so that a request may fit it and yet be refused.
DECIDED_LATER = {
    "generatePortrait": "which idempotency keys were used",
    "generatePortraitPrompt": "which text is nothing once it is folded",
    "generateImages": "which models there are, and what they can do",
    "editImages": "which models and files there are",
    "uploadFile": "what is a picture",
    "listFiles": "which cursors this list has",
    "deleteFiles": "that one filter must be there",
    "createKey": "what lies in the future",
    "updateImageConfiguration": "which values suit an engine",
}

few = hypothesis.settings(
    max_examples=10,
    derandomize=True,
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture, hypothesis.HealthCheck.too_slow],
)


@pytest.fixture(autouse=True)
def _host_of_schemathesis(settings):
    settings.ALLOWED_HOSTS = ["localhost"]


@pytest.fixture(autouse=True)
def _one_connection_for_the_test(monkeypatch):
    """A request's end would close PostgreSQL's, and with it the transaction that the test is in."""
    monkeypatch.setattr(connection, "close_if_unusable_or_obsolete", lambda: None)


@pytest.fixture
def as_member(member):
    return {"Authorization": f"Bearer {tokens.issue(user=member).access_token}"}


@pytest.fixture
def as_superuser(superuser):
    return {"Authorization": f"Bearer {tokens.issue(user=superuser).access_token}"}


def ask(case, headers, *, ignoring=()):
    decided_later = case.operation.definition.raw["operationId"] in DECIDED_LATER
    excluded = [*ignoring, *([positive_data_acceptance] if decided_later else [])]
    return case.call_and_validate(headers=headers, excluded_checks=excluded)


@api.parametrize()
@few
def test_as_a_member(case, as_member):
    ask(case, as_member)


@api.include(operation_id=["getImageConfiguration", "updateImageConfiguration"]).parametrize()
@few
def test_as_a_superuser(case, as_superuser):
    """But for verifyImageEngine: it would look for servers of names that schemathesis makes up."""
    ask(case, as_superuser)


@pytest.fixture
def picture(api_client_of_member):
    answer = api_client_of_member.post(
        "/api/mind/profile/generatePortrait", {"prompt": "a pixie"}, content_type="application/json"
    )
    (file,) = api_client_of_member.get("/api/v1/files/").json()["results"]
    return {"file_id": file["id"], "name": answer.json()["portrait"]["imageUrl"].rpartition("/")[2]}


@pytest.fixture
def api_client_of_member(client, as_member):
    client.defaults["HTTP_HOST"], client.defaults["HTTP_AUTHORIZATION"] = "localhost", *as_member.values()
    return client


@api.include(path_regex=r"\{(file_id|name)\}").parametrize()
@few
def test_of_a_picture_that_is_there(case, as_member, picture):
    """Its path is ours, so that a path meant to be refused is not."""
    case.path_parameters = {name: picture[name] for name in case.path_parameters}
    ask(case, as_member, ignoring=[negative_data_rejection])
