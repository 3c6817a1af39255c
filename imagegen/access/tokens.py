"""Access and refresh tokens: JWT, by simplejwt.

Both carry the scope `api`, without which they open nothing.
"""

from __future__ import annotations

import hmac
from threading import Lock
from typing import Any, TypeVar, cast

from rest_framework.exceptions import AuthenticationFailed
from rest_framework_simplejwt import tokens as simplejwt
from rest_framework_simplejwt.authentication import JWTAuthentication
from rest_framework_simplejwt.exceptions import AuthenticationFailed as OwnerRefused
from rest_framework_simplejwt.exceptions import TokenError
from rest_framework_simplejwt.token_blacklist.models import BlacklistedToken
from rest_framework_simplejwt.tokens import RefreshToken, Token
from rest_framework_simplejwt.utils import aware_utcnow

from imagegen.access.users import Users

SCOPE = "api"

AnyToken = TypeVar("AnyToken", bound=Token)

_known = JWTAuthentication()
_known.user_model = Users  # type: ignore[assignment]  # of a model, no more is asked than this has

# Beside TokenError: a header nested deeper than Python recurses, and claims of a type that no date or id has.
_MALFORMED = (TokenError, ValueError, TypeError, KeyError, OverflowError, OSError, RecursionError)

MOST_REMEMBERED = 1_000
_verified: dict[bytes, dict[str, Any]] = {}
_remembering = Lock()


class AccessToken(simplejwt.AccessToken):
    """An access token that somebody sends, whose signature is verified once in a process.

    Its claims are remembered, by a digest of its text and the signing key that gives away neither. Expiry, id
    and type are judged each time, and what was refused is verified anew.
    """

    def __init__(self, text: Any) -> None:  # simplejwt's annotation would have it a Token
        digest = hmac.digest(self.token_backend.prepared_signing_key, text.encode(), "sha256")
        claims = _verified.get(digest)
        if claims is None:
            super().__init__(text)
            if isinstance(self.payload["exp"], int):  # of a fraction, PyJWT takes less than `verify` does
                _remember(digest, self.payload.copy())
        else:
            self.token, self.current_time, self.payload = text, aware_utcnow(), claims.copy()
            self.verify()


def _remember(digest: bytes, claims: dict[str, Any]) -> None:
    with _remembering:
        if len(_verified) >= MOST_REMEMBERED:
            del _verified[next(iter(_verified))]  # the oldest
        _verified[digest] = claims


class ScopedRefreshToken(RefreshToken):
    """Its access tokens inherit the scope."""

    @classmethod
    def for_user(cls, user: Any) -> RefreshToken:  # type: ignore[override]  # the stub asks too much
        token = super().for_user(user)
        token["scope"] = SCOPE
        return token


def read(kind: type[AnyToken], text: str) -> AnyToken:
    """Check signature, expiry, type, scope and, for refresh tokens, the blacklist.

    Raises AuthenticationFailed.
    """
    try:
        token = kind(text)  # type: ignore[arg-type]  # simplejwt's annotation is wrong: it takes the text
    except _MALFORMED:
        raise AuthenticationFailed(
            f"This {kind.token_type} token is invalid, expired or revoked.", code="token_not_valid"
        ) from None
    scope = token.get("scope")
    scopes = scope.split() if isinstance(scope, str) else scope
    if not isinstance(scopes, list) or SCOPE not in scopes:
        raise AuthenticationFailed(f"This token does not carry the scope {SCOPE!r}.", code="scope_missing")
    return token


def find_user(token: Token) -> Any:
    """The active owner of a token, whose password has not changed since. Raises AuthenticationFailed."""
    try:
        return _known.get_user(token)
    except (OwnerRefused, *_MALFORMED):
        raise AuthenticationFailed(
            "This token has ended. Please log in again.", code="token_not_valid"
        ) from None


def issue(*, user: Any) -> RefreshToken:
    return ScopedRefreshToken.for_user(user)


def renew(*, refresh: str) -> RefreshToken:
    """Blacklist a refresh token and issue the next. Raises AuthenticationFailed.

    simplejwt's own serializer lets two requests at once use the same token, and does not ask whether
    the password has changed.
    """
    token = read(ScopedRefreshToken, refresh)
    user = find_user(token)
    _blacklist(token)
    return issue(user=user)


def revoke(*, refresh: str) -> None:
    """Blacklist a refresh token. Raises AuthenticationFailed for one that is not valid, or no longer."""
    _blacklist(read(ScopedRefreshToken, refresh))


def _blacklist(token: RefreshToken) -> None:
    _, newly = cast("tuple[BlacklistedToken, bool]", token.blacklist())  # simplejwt's annotation is wrong
    if not newly:
        raise AuthenticationFailed("This refresh token has been used already.", code="token_not_valid")
