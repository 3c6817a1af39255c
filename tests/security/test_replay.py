"""A repeat with an idempotency key opens nothing that a first request would not."""

from __future__ import annotations

from imagegen.models import Generation, ImageSettings

PATH = "/api/images/generations"
BODY = {"prompt": "a pixie", "size": "64x64"}


def ask(client):
    return client.post(PATH, BODY, content_type="application/json", headers={"Idempotency-Key": "once"})


def test_whoever_lost_the_permission_gets_no_repeat(api, member):
    assert ask(api).status_code == 200
    member.groups.clear()
    assert ask(api).status_code == 403


def test_nor_does_anybody_while_generation_is_switched_off(api):
    assert ask(api).status_code == 200
    ImageSettings.objects.update(generation_enabled=False)
    assert ask(api).status_code == 403


def test_a_deleted_picture_does_not_come_back(api):
    url = ask(api).json()[0]["url"].removesuffix("/content")
    assert api.delete(url).status_code == 204
    assert ask(api).json() == []
    assert Generation.objects.count() == 1


def test_somebody_elses_key_is_another_key(api, client_for, other):
    mine, theirs = ask(api).json(), ask(client_for(other)).json()
    assert mine[0]["id"] != theirs[0]["id"]
