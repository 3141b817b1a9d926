"""Container images: read one, and say what it needs of a node. Nothing is downloaded, run or written."""

from preflight.submit.image.model import Found, Image, ImageError
from preflight.submit.image.needs import Need, needs, requirement
from preflight.submit.image.open import read

__all__ = ["Found", "Image", "ImageError", "Need", "needs", "read", "requirement"]
