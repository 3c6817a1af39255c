"""Family B's paths. `images` is served under /api/images and /api/v1/images, `files` under /api/v1."""

from django.urls import path

from imagegen.api import config, edit, files, views

images = [
    path("generations", views.GenerationsView.as_view()),
    path("edit", edit.EditView.as_view()),
    path("models", views.ModelsView.as_view()),
    path("config", config.ConfigView.as_view()),
    path("config/update", config.ConfigUpdateView.as_view()),
    path("verify", config.VerifyView.as_view()),
]

file_patterns = [
    path("files/", files.FilesView.as_view(), name="files"),
    path("files/<str:file_id>", files.FileView.as_view(), name="file"),
    path("files/<str:file_id>/content", files.FileContentView.as_view(), name="file-content"),
    path("files/<str:file_id>/thumbnail", files.FileThumbnailView.as_view(), name="file-thumbnail"),
]
