import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from imagegen.models import EngineConnection, ImageSettings
from imagegen.models.settings import parse_size, validate_size

pytestmark = pytest.mark.django_db


def test_there_is_one_row_and_no_other():
    assert ImageSettings.objects.count() == 1
    with pytest.raises(IntegrityError), transaction.atomic():
        ImageSettings.objects.create(pk=2)
    with pytest.raises(IntegrityError), transaction.atomic():
        ImageSettings.objects.bulk_create([ImageSettings(pk=1)])
    assert ImageSettings.objects.count() == 1


def test_a_new_database_works_out_of_the_box():
    current = ImageSettings.objects.current()
    assert (current.generate_connection.engine, current.portrait_connection.engine) == ("dicebear",) * 2
    assert (current.edit_connection, current.polish_connection) == (None, None)


def test_what_was_lost_is_laid_out_again():
    ImageSettings.objects.all().delete()
    EngineConnection.objects.all().delete()
    assert ImageSettings.objects.current().generate_connection.name == "built-in"


def test_laying_out_changes_nothing_that_is_there():
    ImageSettings.objects.update(generate_connection=None, default_size="640x480")
    ImageSettings.objects.lay_out()
    current = ImageSettings.objects.current()
    assert (current.generate_connection, current.default_size) == (None, "640x480")


def test_settings_come_in_one_query_and_connections_when_they_are_asked_for(django_assert_num_queries):
    with django_assert_num_queries(1):
        current = ImageSettings.objects.current()
        chosen = current.connection_id_for("portrait")
        assert current.connection_id_for("edit") is None and current.connection_for("edit") is None
    with django_assert_num_queries(1):
        built_in = current.connection_for("portrait")
    assert (built_in.name, built_in.pk) == ("built-in", chosen)


def test_a_removed_connection_is_no_longer_selected():
    EngineConnection.objects.get(name="built-in").delete()
    assert ImageSettings.objects.current().connection_for("generate") is None


@pytest.mark.parametrize("text", ["64x64", "4096x4096", "64x4096", "1024x768"])
def test_sizes(text):
    assert str(parse_size(text)) == text
    validate_size(text)


@pytest.mark.parametrize(
    "text", ["", "63x64", "64x63", "4097x64", "64x4097", "0x0", "1024", "big", "1024x768 "]
)
def test_no_sizes(text):
    with pytest.raises(ValueError, match=r"^(Must be WIDTHxHEIGHT|Width and height)"):
        parse_size(text)
    with pytest.raises(ValidationError):
        validate_size(text)


def test_auto_is_a_size_to_configure_and_none_to_parse():
    validate_size("auto")
    with pytest.raises(ValueError):
        parse_size("auto")
