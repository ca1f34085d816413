import json

import pytest

from finkray.errors import SchemaError, SchemaUnavailable, SettingsError
from finkray.packets.schema_registry import SchemaRegistry
from finkray.settings.streamout import StreamoutSettings
from finkray.streamout.output_registry import OutputRegistry
from tests.support.registry import Registry


def schema(*fields: dict[str, object]) -> str:
    return json.dumps({"type": "record", "name": "alert", "fields": list(fields)})


ID = {"name": "objectId", "type": "string"}
OLD = schema(ID)
WIDER = schema(ID, {"name": "rb", "type": ["null", "float"], "default": None})
OTHER = schema({"name": "objectId", "type": "int"})


@pytest.fixture
def client(registry: Registry) -> OutputRegistry:
    return OutputRegistry(StreamoutSettings(registry_url=registry.url).registry_config())


def test_a_schema_is_registered_once_and_readers_find_it_by_its_id(
    registry: Registry, client: OutputRegistry
) -> None:
    first = client.register("bright", OLD)
    assert client.register("bright", WIDER) != first
    again = OutputRegistry({"url": registry.url})
    assert again.register("bright", OLD) == again.register("faint", OLD) == first
    found = SchemaRegistry({"url": registry.url}).find(first)
    assert found is not None
    assert json.loads(found) == json.loads(OLD)
    assert sorted(registry.subjects) == [
        ("bright-value", 1),
        ("bright-value", 2),
        ("faint-value", 1),
    ]


def test_a_schema_that_readers_of_the_topic_could_not_read_is_refused(
    client: OutputRegistry,
) -> None:
    client.refuse_incompatible("bright", OTHER)  # the subject has none yet
    client.register("bright", OLD)
    client.refuse_incompatible("bright", WIDER)
    with pytest.raises(SchemaError, match="schema of bright cannot change so: the registry http"):
        client.refuse_incompatible("bright", OTHER)
    with pytest.raises(SchemaError, match="refuses the schema of bright-value"):
        client.register("bright", OTHER)


def test_a_registry_that_does_not_answer_is_tried_again(
    registry: Registry, client: OutputRegistry
) -> None:
    registry.broken = True
    with pytest.raises(SchemaUnavailable, match="answered with an error") as raised:
        client.register("bright", OLD)
    assert raised.value.retriable
    with pytest.raises(SchemaUnavailable, match="answered with an error"):
        client.refuse_incompatible("bright", OLD)
    registry.broken = False
    assert client.register("bright", OLD) == 1
    nobody = OutputRegistry({"url": "http://127.0.0.1:9"})
    with pytest.raises(SchemaUnavailable, match="does not answer"):
        nobody.register("bright", OLD)


def test_the_login_is_an_option_and_is_not_shown(registry: Registry) -> None:
    registry.login = ("finkray", "s3cret")
    settings = StreamoutSettings(
        registry_url=registry.url, registry_options={"basic.auth.user.info": "finkray:s3cret"}
    )
    assert "s3cret" not in repr(settings)
    assert OutputRegistry(settings.registry_config()).register("bright", OLD) == 1
    with pytest.raises(SchemaUnavailable, match="Unauthorized"):
        OutputRegistry({"url": registry.url}).register("bright", OLD)


def test_an_option_that_the_client_does_not_know_is_refused(registry: Registry) -> None:
    with pytest.raises(SettingsError, match=r"streamout\.registry_options"):
        OutputRegistry({"url": registry.url, "no.such.option": 1})


@pytest.mark.parametrize("url", ["registry:8081", "http://me:secret@registry:8081", "http://"])
def test_an_address_that_is_none_or_has_a_password_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="registry_url"):
        StreamoutSettings(registry_url=url)
