import pytest
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.validation import validate_schema

from tests.imagegen.access.urls import urlpatterns


@pytest.fixture(scope="module")
def schema():
    GENERATOR_STATS.reset()
    schema = SchemaGenerator(patterns=urlpatterns[:1]).get_schema(request=None, public=True)
    assert not GENERATOR_STATS
    validate_schema(schema)
    return schema


def test_security_schemes(schema):
    schemes = schema["components"]["securitySchemes"]
    assert set(schemes) == {"bearerAuth", "cookieAuth"}
    assert (schemes["bearerAuth"]["type"], schemes["bearerAuth"]["scheme"]) == ("http", "bearer")
    assert (schemes["cookieAuth"]["in"], schemes["cookieAuth"]["name"]) == ("cookie", "connect.sid")


def test_open_and_gated_operations(schema):
    paths = schema["paths"]
    both = [{"bearerAuth": []}, {"cookieAuth": []}]
    assert paths["/api/auth/token"]["post"]["security"] == [{}]
    assert paths["/api/auth/session"]["post"]["security"] == [{}]
    assert paths["/api/auth/session"]["get"]["security"] == both
    assert paths["/api/auth/keys"]["post"]["security"] == both


def test_every_error_has_the_same_shape(schema):
    for path in schema["paths"].values():
        for operation in path.values():
            assert operation["tags"] == ["auth"] and operation["summary"]
            for status, response in operation["responses"].items():
                if status >= "400":
                    reference = response["content"]["application/json"]["schema"]["$ref"]
                    assert reference == "#/components/schemas/Error"


def test_limits_are_told(schema):
    name = schema["components"]["schemas"]["NewKeyRequest"]["properties"]["name"]
    assert name["maxLength"] == 100 and name["minLength"] == 1


def test_strict_fields_are_described():
    described = SchemaGenerator(patterns=urlpatterns[1:2]).get_schema(request=None, public=True)
    picture = described["components"]["schemas"]["PictureRequest"]
    properties = picture["properties"]
    assert picture["required"] == ["prompt"]
    assert properties["prompt"] == {"type": "string", "minLength": 1, "maxLength": 20, "pattern": r"\S"}
    assert properties["trimmed"]["maxLength"] == 5
    assert properties["n"] == {"type": "integer", "minimum": 1, "maximum": 10, "nullable": True}
    assert properties["tiled"]["type"] == "boolean"
    assert properties["images"]["items"]["type"] == "string"
    assert properties["metadata"]["properties"]["chat_id"]["maxLength"] == 255
