"""Django's backend for PostgreSQL, with a pool that tells a server that is away from one that is busy."""
