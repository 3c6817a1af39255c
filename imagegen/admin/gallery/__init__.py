"""The gallery: what was asked for and what was made, for those who may see it.

Registered in `generations.py` and `files.py`, in place of Django's lists, forms and deletion.
"""

from imagegen.admin.gallery import files, generations

__all__ = ["files", "generations"]
