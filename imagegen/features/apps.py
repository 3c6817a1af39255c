from django.apps import AppConfig


class FeaturesConfig(AppConfig):
    name = "imagegen.features"
    label = "features"
    verbose_name = "Features"
