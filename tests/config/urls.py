"""All of Easel's paths, and some that break."""

from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.db import OperationalError
from django.http import HttpResponse
from django.urls import path

from config import urls

TOLD_TO_NOBODY = "the password of the database"


def crash(request):
    raise RuntimeError(TOLD_TO_NOBODY)


def lose(request):
    raise OperationalError(TOLD_TO_NOBODY)


def suspect(request):
    raise SuspiciousOperation(TOLD_TO_NOBODY)


def forbid(request):
    raise PermissionDenied(TOLD_TO_NOBODY)


def take(request):
    return HttpResponse("taken")


VIEWS = {"crash": crash, "lose": lose, "suspect": suspect, "forbid": forbid, "take": take}
PLACES = ("api/mind/", "api/images/", "elsewhere/")

urlpatterns = [
    *(path(f"{place}test/{name}", view) for place in PLACES for name, view in VIEWS.items()),
    *urls.urlpatterns,
]
handler400, handler403 = urls.handler400, urls.handler403
handler404, handler500 = urls.handler404, urls.handler500
