from django.urls import path

from imagegen.access import views

urlpatterns = [
    path("token", views.TokenView.as_view(), name="auth-token"),
    path("token/refresh", views.TokenRefreshView.as_view(), name="auth-token-refresh"),
    path("logout", views.LogoutView.as_view(), name="auth-logout"),
    path("session", views.SessionView.as_view(), name="auth-session"),
    path("keys", views.KeysView.as_view(), name="auth-keys"),
    path("keys/<int:key_id>", views.KeyView.as_view(), name="auth-key"),
]
