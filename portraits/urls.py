"""Family A's paths, under /api/mind."""

from django.urls import path

from portraits import views

urlpatterns = [
    path("profile/generatePortrait", views.PortraitView.as_view()),
    path("profile/generatePortraitPrompt", views.PortraitPromptView.as_view()),
    path("storage/temp/<str:name>", views.TempStorageView.as_view(), name="portrait-content"),
]
