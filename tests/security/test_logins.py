"""Guessing passwords: of one name, of many, from one address and from as good as one."""

from __future__ import annotations

import pytest
from django.core.cache import cache
from django.test import Client

from imagegen.access.passwords import NAMES_AT_ONCE
from tests.conftest import PASSWORD

LOGIN = "/api/auth/token"
pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _few_attempts(settings):
    settings.AXES_FAILURE_LIMIT = 2
    cache.clear()


def guess(name, password="wrong", *, address="192.0.2.1", path=LOGIN):
    body = {"username": name, "password": password}
    return Client().post(path, body, content_type="application/json", REMOTE_ADDR=address)


def test_one_password_tried_with_many_names_pauses_the_address(member):
    for k in range(NAMES_AT_ONCE * 2):
        assert guess(f"name{k}").status_code == 401
    refused = guess(member.username, PASSWORD)
    assert refused.status_code == 429
    assert 1 <= int(refused["Retry-After"]) <= 300
    assert guess(member.username, PASSWORD, path="/api/auth/session").status_code == 429
    assert guess(member.username, PASSWORD, address="192.0.2.2").status_code == 200


def test_in_the_admin_too(superuser):
    for k in range(NAMES_AT_ONCE * 2):
        guess(f"name{k}")
    form = {"username": superuser.username, "password": PASSWORD}
    assert Client().post("/admin/login/", form, REMOTE_ADDR="192.0.2.1").status_code == 429
    assert Client().post("/admin/login/", form, REMOTE_ADDR="192.0.2.2").status_code == 302


def test_only_so_many_tries_a_second(settings, member):
    settings.EASEL_RATE_ADDRESS = 8
    found = [guess(f"name{k}").status_code for k in range(6)]
    assert set(found) == {401, 429}


def test_the_tries_of_a_second_are_those_of_an_address(settings, member):
    settings.EASEL_RATE_ADDRESS = 4
    for k in range(6):
        assert guess(member.username, PASSWORD, address=f"192.0.2.{k + 1}").status_code == 200


def test_a_new_ipv6_address_for_every_guess_is_no_new_client(member):
    for k in range(2):
        assert guess(member.username, address=f"2001:db8:1:2::{k}").status_code == 401
    assert guess(member.username, PASSWORD, address="2001:db8:1:2:3:4:5:6").status_code == 429
    assert guess(member.username, PASSWORD, address="2001:db8:1:3::1").status_code == 200
