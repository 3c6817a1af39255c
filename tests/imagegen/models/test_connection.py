import pytest
from django.core.exceptions import ValidationError

from imagegen.engines.base import EDIT, GENERATE
from imagegen.models import EngineConnection

GOOD = {"name": "proxy", "engine": "openai", "base_url": "http://proxy.example:4000/v1"}


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("name", name) for name in ("", "Proxy", "a b", "a/b", "-a", "ä", "x" * 51, "a\n")),
        *(("engine", engine) for engine in ("", "nonsense")),
        *(
            ("base_url", url)
            for url in (
                *("proxy.example", "ftp://proxy.example", "http://", "http://:80", "javascript:alert(1)"),
                *("http://me@proxy.example", "http://me:pass@proxy.example", "http://x.example/?key=1"),
                *("http://x.example/#a", "http://x.example:port", "http://[::1", "file:///etc/passwd"),
            )
        ),
        *(("listed_models", models) for models in ("one", [1], [""], [None], {"a": 1})),
        *(("parameters", value) for value in (["a"], "a", 1)),
        *(
            ("trusted_origins", origins)
            for origins in ("http://x", ["nonsense"], ["ftp://x"], ["http://a@b"])
        ),
        *(("deadline", seconds) for seconds in (0, -1, 3601, None)),
        *(("concurrency", calls) for calls in (-1, 1001)),
        *(("price", dollars) for dollars in (-1, "x")),
    ],
)
def test_what_is_refused(field, value):
    with pytest.raises(ValidationError) as refused:
        EngineConnection(**(GOOD | {field: value})).full_clean()
    assert list(refused.value.message_dict) == [field]


@pytest.mark.django_db
@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"base_url": ""},  # the engine has one of its own
        {"base_url": "http://[::1]:8188"},
        {"name": "a.b-c_1"},
        {"trusted_origins": ["http://files.example:9000", "https://[::1]"]},
        {"listed_models": ["vendor/model"], "parameters": {"quality": "high"}},
    ],
)
def test_what_is_taken(fields):
    EngineConnection(**(GOOD | fields)).full_clean()


def test_what_an_engine_is_given():
    graph, nodes = {"1": {"class_type": "SaveImage"}}, [{"type": "prompt", "key": "text", "node_ids": ["1"]}]
    config = EngineConnection(
        **GOOD | {"base_url": "http://proxy.example/v1//"},
        default_model="one",
        listed_models=["two"],
        parameters={"a": 1},
        trusted_origins=["http://files.example"],
        deadline=90,
        edit_workflow=graph,
        edit_workflow_nodes=nodes,
    ).to_config()
    assert (config.name, config.base_url, config.key) == ("proxy", "http://proxy.example/v1", "")
    assert (config.model, config.models, config.parameters) == ("one", ("two",), {"a": 1})
    assert (config.trusted_origins, config.deadline) == (("http://files.example",), 90.0)
    assert (config.workflows[EDIT].graph, config.workflows[EDIT].nodes) == (graph, nodes)
    assert GENERATE not in config.workflows
