"""An app that exists to own one permission, `features.image_generation`."""
