"""The pages under /account: log in, change the password, make and revoke API keys."""
