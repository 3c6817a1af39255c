"""The dashboard: what was made, by what, for which groups, and how well."""

from imagegen.admin.dashboard.page import DashboardAdmin

__all__ = ["DashboardAdmin"]
