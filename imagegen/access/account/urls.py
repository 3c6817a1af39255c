from django.urls import path

from imagegen.access.account import views

urlpatterns = [
    path("login", views.LoginView.as_view(), name="account-login"),
    path("logout", views.LogoutView.as_view(), name="account-logout"),
    path("password", views.PasswordView.as_view(), name="account-password"),
    path("keys", views.keys, name="account-keys"),
    path("keys/<int:key_id>/revoke", views.revoke, name="account-key-revoke"),
]
