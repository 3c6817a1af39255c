"""What both lists have in common: who may open them, their pages, and ticking what is to be deleted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, QueryDict
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.http import urlencode

from imagegen.admin.gallery import deletion, pages
from imagegen.admin.gallery.filters import Filters
from imagegen.admin.gallery.pages import Page, Place
from imagegen.admin.lookups import FilteredAdmin
from imagegen.models.file import VIEW_OTHERS

LISTS = (("Generations", "generation"), ("Files", "imagefile"))
View = Callable[..., HttpResponseBase]


class GalleryAdmin(FilteredAdmin):
    """Everybody on the staff sees their own; holders of `imagegen.view_others_pictures` everybody's.

    None of Django's own pages of a model is left, so no other door leads to the rows.
    """

    filters: ClassVar[type[Filters]]
    size: ClassVar[int]
    """Rows of a page."""
    list_title: ClassVar[str]
    list_template: ClassVar[str]

    def visible(self, request: HttpRequest) -> QuerySet[Any]:
        """Rows that whoever asks may see."""
        raise NotImplementedError

    def rows(self, request: HttpRequest, question: QuerySet[Any]) -> QuerySet[Any]:
        """With what a list shows of each."""
        raise NotImplementedError

    def complete(self, request: HttpRequest, rows: list[Any]) -> None:
        """Give rows what comes from other tables."""

    def detail(self, request: HttpRequest, pk: UUID) -> HttpResponseBase:
        """One row."""
        raise NotImplementedError

    def removal(self, request: HttpRequest, chosen: list[UUID]) -> deletion.Removal:
        """What would go with those of the chosen ones that may be seen."""
        raise NotImplementedError

    # Who may

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.is_active and getattr(request.user, "is_staff", False))

    has_module_permission = has_view_permission

    def sees_all(self, request: HttpRequest) -> bool:
        return request.user.has_perm(VIEW_OTHERS)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm(deletion.DELETE_PICTURES)

    # Pages

    def get_urls(self) -> list[URLPattern]:
        view, name = self.admin_site.admin_view, self.opts.model_name
        return [
            path("", view(self.changelist_view), name=f"imagegen_{name}_changelist"),
            path("delete/", view(self.delete), name=f"imagegen_{name}_delete"),
            path("<uuid:pk>/change/", view(self.detail), name=f"imagegen_{name}_change"),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        form = self.filters(request)
        page = self._page(request, form) if form.is_valid() else Page([])
        self.complete(request, page.rows)
        return self.show(
            request,
            self.list_template,
            self.list_title,
            form=form,
            page=page,
            rows=page.rows,
            links=_links(form, page),
            lists=_lists(form, str(self.opts.model_name)),
            back=urlencode(form.filters),
            can_delete=self.has_delete_permission(request) and bool(page.rows),
            delete_url=reverse(f"admin:imagegen_{self.opts.model_name}_delete"),
        )

    def _page(self, request: HttpRequest, form: Any) -> Page:
        asked = form.question()
        asked = replace(asked, rows=self.rows(request, asked.rows))
        before, after = form.cleaned_data["before"], form.cleaned_data["after"]
        return pages.read(asked, self.size, before=before, after=after)

    def delete(self, request: HttpRequest) -> HttpResponseBase:
        """Ask, by GET; do it, by POST. Whatever of the chosen may not be seen is not there."""
        if not self.has_delete_permission(request):
            raise PermissionDenied
        sent = request.POST if request.method == "POST" else request.GET
        back = _back(str(self.opts.model_name), sent.get("back", ""))
        chosen = _chosen(sent)
        if not chosen:
            messages.warning(request, "Tick what is to be deleted first.")
            return redirect(back)
        removal = self.removal(request, chosen)
        if request.method == "POST":
            messages.success(request, removal.carry_out(request, words_too=bool(sent.get("words"))))
            return redirect(back)
        return self.show(
            request,
            "imagegen/gallery/delete.html",
            "Delete pictures",
            removal=removal,
            chosen=chosen,
            back=sent.get("back", ""),
            back_url=back,
        )

    def show(self, request: HttpRequest, template: str, title: str, **context: Any) -> TemplateResponse:
        request.current_app = self.admin_site.name
        everywhere = self.admin_site.each_context(request)
        sees = {"sees_others": self.sees_all(request)}
        return TemplateResponse(request, template, {**everywhere, **sees, "title": title, **context})


def _links(form: Filters, page: Page) -> dict[str, str]:
    """To the pages around this one; empty where there is none."""

    def link(**place: Place | None) -> str:
        known = {name: str(value) for name, value in place.items() if value}
        return f"?{urlencode(form.filters | known)}" if known else ""

    moved = bool(form.data.get("before") or form.data.get("after"))
    return {
        "newest": f"?{urlencode(form.filters)}" if moved else "",
        "newer": link(after=page.newer),
        "older": link(before=page.older),
    }


def _lists(form: Filters, current: str) -> list[tuple[str, str, bool]]:
    """Title, address with the filters that both have, and whether this is it."""
    query = urlencode({name: value for name, value in form.filters.items() if name in Filters.base_fields})
    return [
        (title, f"{reverse(f'admin:imagegen_{name}_changelist')}?{query}", name == current)
        for title, name in LISTS
    ]


def _back(name: str, query: str) -> str:
    """The list, filtered as before. What comes in is taken apart: it can lead nowhere else."""
    asked = QueryDict(query).urlencode()
    return f"{reverse(f'admin:imagegen_{name}_changelist')}{'?' if asked else ''}{asked}"


def _chosen(sent: QueryDict) -> list[UUID]:
    """Raises Http404."""
    try:
        return [UUID(text) for text in sent.getlist("chosen")[: deletion.MOST]]
    except ValueError:
        raise Http404 from None
