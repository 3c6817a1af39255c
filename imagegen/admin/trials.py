"""Test, list models, try: what the form of a connection does without being saved.

Each view answers with a piece of the page, 200 whatever the engine did: what went wrong is a sentence.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_POST

from imagegen.access.permissions import IMAGE_GENERATION
from imagegen.admin.connection_form import TrialForm
from imagegen.configuration.inspection import inspect, list_live
from imagegen.engines.errors import EngineError
from imagegen.errors import ImageServiceError, InvalidRequest
from imagegen.generation import Made, Order, generate
from imagegen.models import EngineConnection

if TYPE_CHECKING:
    from imagegen.admin.connections import ConnectionAdmin

WITHHELD = (
    "The stored key was not sent, because this is another server than the one it was entered for."
    " Enter the key to use it here."
)


class PromptForm(forms.Form):
    prompt = forms.CharField(
        max_length=4000, error_messages={"required": "Write what the picture should show."}
    )


@require_POST
def test(request: HttpRequest, admin: ConnectionAdmin, pk: int | None = None) -> HttpResponse:
    """Reach the engine with what stands in the form."""
    form = _entered(admin, request, pk)
    context: dict[str, Any] = {"faults": form.faults()}
    if not context["faults"]:
        try:
            context["withheld"] = WITHHELD if form.key_withheld else ""
            context["report"] = inspect(form.instance.engine, form.config())
        except InvalidRequest as error:
            context["faults"] = [error.message]
    return render(request, "imagegen/admin/report.html", context)


@require_POST
def list_models(request: HttpRequest, admin: ConnectionAdmin, pk: int | None = None) -> HttpResponse:
    """The models that the engine names, to choose the default model from."""
    form = _entered(admin, request, pk)
    context: dict[str, Any] = {"faults": form.faults()}
    if not context["faults"]:
        try:
            context["models"] = list_live(form.instance.engine, form.config())
            context["chosen"] = form.cleaned_data["default_model"]
        except InvalidRequest as error:
            context["faults"] = [error.message]
    return render(request, "imagegen/admin/model_choices.html", context)


@require_POST
def make_one(request: HttpRequest, admin: ConnectionAdmin, pk: int) -> HttpResponse:
    """One picture, made as any other: on the account of whoever asks, and by this connection alone."""
    connection = connection_to_change(admin, request, pk)
    user = request.user
    if not isinstance(user, User) or not user.has_perm(IMAGE_GENERATION):
        told = "You may not make pictures. Ask an administrator for the permission “Can generate images”."
        return render(request, "imagegen/admin/picture.html", {"fault": told})
    form = PromptForm(request.POST)
    if not form.is_valid():
        return render(
            request, "imagegen/admin/picture.html", {"fault": " ".join(map(str, form.errors["prompt"]))}
        )
    order = Order(user=user, prompt=form.cleaned_data["prompt"], connection=connection)
    started = time.monotonic()
    try:
        made = generate(order)
    except (EngineError, ImageServiceError) as error:
        return render(request, "imagegen/admin/picture.html", _failed(error))
    context = _made(made) | {"seconds": time.monotonic() - started}
    return render(request, "imagegen/admin/picture.html", context)


def _made(made: Made) -> dict[str, Any]:
    file = made.files[0]
    return {
        "file": file,
        "generation": made.generation,
        "url": reverse("admin:imagegen_imagefile_content", args=[file.pk]),
        "generation_url": reverse("admin:imagegen_generation_change", args=[made.generation.pk]),
    }


def _failed(error: EngineError | ImageServiceError) -> dict[str, Any]:
    """What callers are told, and what staff need in order to mend it."""
    detail = error.detail if isinstance(error, EngineError) else ""
    return {"fault": error.message, "detail": detail[:600]}


def _entered(admin: ConnectionAdmin, request: HttpRequest, pk: int | None) -> TrialForm:
    """The form as it stands in the browser. Raises PermissionDenied, Http404."""
    connection = None if pk is None else connection_to_change(admin, request, pk)
    if connection is None and not admin.has_add_permission(request):
        raise PermissionDenied
    form = admin.get_form(request, connection, change=connection is not None, form=TrialForm)
    entered: TrialForm = form(request.POST, instance=connection)
    if connection is None:
        entered.instance.engine = entered.engine
    return entered


def connection_to_change(admin: ConnectionAdmin, request: HttpRequest, pk: int) -> EngineConnection:
    """Raises PermissionDenied before anything is said of what there is."""
    if not admin.has_change_permission(request):
        raise PermissionDenied
    try:
        return EngineConnection.objects.get(pk=pk)
    except EngineConnection.DoesNotExist:
        raise Http404 from None
