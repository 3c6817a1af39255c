from imagegen.models.connection import EngineConnection
from imagegen.models.file import ImageFile
from imagegen.models.generation import Generation
from imagegen.models.quota import GroupQuota, Quota
from imagegen.models.retention import GroupRetention
from imagegen.models.settings import ImageSettings
from imagegen.models.ticket import Ticket
from imagegen.models.usage import Usage, UsagePeriod

__all__ = [
    "EngineConnection",
    "Generation",
    "GroupQuota",
    "GroupRetention",
    "ImageFile",
    "ImageSettings",
    "Quota",
    "Ticket",
    "Usage",
    "UsagePeriod",
]
