"""Pictures from anywhere, checked and made small by Pillow."""

from __future__ import annotations

from io import BytesIO

from PIL import Image, ImageOps

FORMATS = ("JPEG", "PNG", "WEBP")
"""Decoders that a picture may reach; all others stay closed to it."""
MAX_PIXELS = 50_000_000
MIN_SIDE = 8
"""Pixels; a smaller picture is a spacer."""
QUALITY = 86
_BACKGROUND = (24, 26, 30)
"""Behind transparent pictures."""


class UnusablePicture(ValueError):
    """The content is no picture that can be shown."""


def thumbnail(content: bytes, side: int) -> bytes:
    """The picture as JPEG, its longer side at most `side` pixels; a smaller one keeps its size. Raises UnusablePicture."""
    try:
        with Image.open(BytesIO(content), formats=FORMATS) as image:
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise UnusablePicture(f"{width} x {height} pixels; at most {MAX_PIXELS:,} are read")
            if min(width, height) < MIN_SIDE:
                raise UnusablePicture(f"{width} x {height} pixels; at least {MIN_SIDE} x {MIN_SIDE} are shown")
            image.draft("RGB", (side, side))  # JPEG decodes at a fraction of its size
            image.thumbnail((side, side), Image.Resampling.LANCZOS, reducing_gap=2.0)
            small = _opaque(ImageOps.exif_transpose(image))
    except UnusablePicture:
        raise
    except Exception as error:  # decoders raise any exception on damaged pictures; MemoryError too
        raise UnusablePicture(f"{type(error).__name__}: {error}"[:200]) from error
    output = BytesIO()
    small.save(output, "JPEG", quality=QUALITY, optimize=True)
    return output.getvalue()


def _opaque(image: Image.Image) -> Image.Image:
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        layer = image.convert("RGBA")
        opaque = Image.new("RGB", layer.size, _BACKGROUND)
        opaque.paste(layer, mask=layer.getchannel("A"))
        return opaque
    return image.convert("RGB")
