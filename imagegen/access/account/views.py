from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib import messages
from django.contrib.auth import views as auth
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse_lazy
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST
from rest_framework import exceptions

from imagegen.access.account.forms import LoginForm, NewKeyForm, PasswordForm, PausedForm
from imagegen.access.authentication import refuse_foreign_origin
from imagegen.access.models import ApiKey, issue_key, revoke_key
from imagegen.access.permissions import IMAGE_GENERATION

KEYS = reverse_lazy("account-keys")
LOGIN = reverse_lazy("account-login")
read_or_sent = require_http_methods(["GET", "HEAD", "POST"])
"""Also where Django's own view would answer first: to whoever is logged in already."""

View = Callable[..., HttpResponse]


def own_origin(view: View) -> View:
    """Refuse what another site's page sends, whatever the method, and let nobody keep the answer."""

    @never_cache
    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            refuse_foreign_origin(request)
        except exceptions.PermissionDenied:
            raise PermissionDenied from None
        return view(request, *args, **kwargs)

    return guarded


def signed_in(view: View) -> View:
    return own_origin(login_required(view, login_url=LOGIN))


@method_decorator([own_origin, read_or_sent], name="dispatch")
class LoginView(auth.LoginView):
    form_class = LoginForm
    template_name = "account/login.html"
    next_page = "account-keys"
    redirect_authenticated_user = True

    def get_redirect_url(self) -> str:
        """Not here again, which Django takes for a fault."""
        url = super().get_redirect_url()
        return "" if url.partition("?")[0] == self.request.path else url

    def form_invalid(self, form: Any) -> HttpResponse:
        return _refused(super().form_invalid(form), form)


@method_decorator(own_origin, name="dispatch")
class LogoutView(auth.LogoutView):
    http_method_names = ["post"]
    next_page = "account-login"


@method_decorator([signed_in, read_or_sent], name="dispatch")
class PasswordView(auth.PasswordChangeView):
    form_class = PasswordForm
    template_name = "account/password.html"
    success_url = KEYS

    def get_form_kwargs(self) -> dict[str, Any]:
        return super().get_form_kwargs() | {"request": self.request}

    def form_valid(self, form: Any) -> HttpResponse:
        told = "Your password was changed. Everything else that was logged in as you no longer is."
        messages.success(self.request, told)
        return super().form_valid(form)

    def form_invalid(self, form: Any) -> HttpResponse:
        return _refused(super().form_invalid(form), form)


@signed_in
@read_or_sent
def keys(request: HttpRequest) -> HttpResponse:
    """One's own keys. A new one is in the answer to the form and nowhere else, so there is no redirect."""
    form = NewKeyForm(request.POST if request.method == "POST" else None, user=request.user)
    context: dict[str, Any] = {"form": form}
    if form.is_bound and form.is_valid():
        made, text = issue_key(user=request.user, name=form.cleaned_data["name"], expires_at=form.expires_at)
        context = {"form": NewKeyForm(user=request.user), "made": made, "text": text}
    context |= {
        "keys": ApiKey.objects.of(request.user),
        "may_generate": request.user.has_perm(IMAGE_GENERATION),
    }
    return render(request, "account/keys.html", context, status=400 if form.errors else 200)


@signed_in
@require_POST
def revoke(request: HttpRequest, key_id: int) -> HttpResponse:
    key = ApiKey.objects.of(request.user).filter(pk=key_id).first()
    if key is None or not revoke_key(user=request.user, key_id=key_id):
        raise Http404
    messages.success(request, f"“{key.name}” was revoked. It opens nothing any more.")
    return redirect(KEYS)


def _refused(response: HttpResponse, form: PausedForm) -> HttpResponse:
    response.status_code = 429 if form.wait else 400
    if form.wait:
        response.headers["Retry-After"] = str(form.wait)
    return response
