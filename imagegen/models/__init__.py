from imagegen.models.connection import EngineConnection
from imagegen.models.file import ImageFile
from imagegen.models.generation import Generation
from imagegen.models.settings import ImageSettings

__all__ = ["EngineConnection", "Generation", "ImageFile", "ImageSettings"]
