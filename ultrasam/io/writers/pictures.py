"""Pictures and mask files, one a frame."""

from __future__ import annotations

import colorsys
import io

import cv2
import numpy as np
from PIL import Image

from ultrasam.atomic import publish_bytes
from ultrasam.errors import OutputError
from ultrasam.io.writers.canvas import Canvas, Colour
from ultrasam.io.writers.formats import ResultFormat
from ultrasam.io.writers.names import ResultFile
from ultrasam.structures import Frame, Segmentation

_TINT = 0.3
# more objects than this are labelled in smaller letters
_MANY = 12
# letters of a class name, so that its chip stays narrower than the picture
_LONGEST_NAME = 28
# Colours that differ to colour-blind eyes as well (after Okabe and Ito 2008), on dark ultrasound.
_FIRST_COLOURS: tuple[Colour, ...] = (
    (86, 180, 233),
    (230, 159, 0),
    (0, 190, 150),
    (240, 228, 66),
    (204, 121, 167),
    (213, 94, 0),
    (60, 120, 230),
)
_GOLDEN_RATIO = 0.618034


class OverlayFormat(ResultFormat):
    """The frame with masks, prompts, and the number and predicted IoU of each object; class and probability if any."""

    folder_name = 'overlay'

    def write(self, file: ResultFile, frame: Frame, segmentation: Segmentation) -> None:
        """Write one picture."""
        picture = png_bytes(draw_overlay(frame, segmentation))
        publish_bytes(self.path_of(file.frame_name(frame.index)), picture, overwrite=self.overwrite)


class MaskFormat(ResultFormat):
    """PNG with palette: the value of a pixel is the number of its object, from 1, and 0 off all of them.

    The palette shows the colours of the overlay. A frame of more than 255 objects becomes a gray PNG of
    16 bit with the same meaning.
    """

    folder_name = 'mask'

    def write(self, file: ResultFile, frame: Frame, segmentation: Segmentation) -> None:
        """Write one mask file."""
        labels = label_map(segmentation)
        content = palette_png_bytes(labels) if labels.dtype == np.uint8 else png_bytes(labels)
        publish_bytes(self.path_of(file.frame_name(frame.index)), content, overwrite=self.overwrite)


def instance_colour(index: int) -> Colour:
    """RGB colour of instance ``index``, the same in every picture."""
    if index < len(_FIRST_COLOURS):
        return _FIRST_COLOURS[index]
    hue = (index * _GOLDEN_RATIO) % 1
    saturation = (0.85, 0.6)[index % 2]
    red, green, blue = colorsys.hsv_to_rgb(hue, saturation, 0.95)
    return round(255 * red), round(255 * green), round(255 * blue)


def label_map(segmentation: Segmentation) -> np.ndarray:
    """One number a pixel: that of its object, from 1 in the order of the prompts, or 0.

    Where objects overlap, the one of the higher score is seen; of two equal scores the later one.

    Args:
        segmentation: N masks of H x W pixels.

    Returns:
        (H, W), uint8, or uint16 from 256 objects on.

    Raises:
        OutputError: more than 65535 objects.
    """
    if len(segmentation) > np.iinfo(np.uint16).max:
        raise OutputError(f'{len(segmentation)} objects in a frame: a mask file numbers at most 65535')
    labels = np.zeros(segmentation.masks.shape[1:], np.uint8 if len(segmentation) < 256 else np.uint16)
    for index in np.argsort(segmentation.scores, kind='stable'):
        labels[segmentation.masks[index]] = index + 1
    return labels


def draw_overlay(frame: Frame, segmentation: Segmentation) -> np.ndarray:
    """Picture (H', W', 3), uint8, RGB, of a frame with its masks and prompts; small frames are enlarged."""
    canvas = Canvas(frame.image)
    outlines = [canvas.contours(mask) for mask in segmentation.masks]
    colours = [instance_colour(index) for index in range(len(outlines))]
    for contours, colour in zip(outlines, colours, strict=True):
        canvas.fill(contours, colour, _TINT)
    for contours, colour in zip(outlines, colours, strict=True):
        canvas.outline(contours, colour)
    for prompt, colour in zip(segmentation.prompts, colours, strict=True):
        if prompt.box_xyxy is not None:
            # prompts count from the centre of the first pixel, the canvas draws boxes from its corner
            canvas.box(np.asarray(prompt.box_xyxy) + 0.5, colour)
    for prompt in segmentation.prompts:
        for point, label in zip(np.asarray(prompt.points_xy), np.asarray(prompt.point_labels), strict=True):
            canvas.click(point, positive=bool(label))
    for index, colour in enumerate(colours):
        text, place = _chip_text(segmentation, index), _chip_place(segmentation, index)
        canvas.chip(text, place, colour, small=len(outlines) > _MANY)
    return canvas.pixels


def png_bytes(image: np.ndarray) -> bytes:
    """PNG file of an image (H, W, 3), uint8, RGB, or (H, W), uint8 or uint16."""
    done, encoded = cv2.imencode('.png', image[..., ::-1] if image.ndim == 3 else image)
    if not done:
        raise OutputError(f'an image of shape {image.shape} and type {image.dtype} cannot be stored as PNG')
    return encoded.tobytes()


def palette_png_bytes(labels: np.ndarray) -> bytes:
    """PNG file with palette of labels (H, W), uint8, each in the colour that its object has in overlays."""
    picture = Image.fromarray(labels).convert('L')
    colours = [(0, 0, 0), *(instance_colour(index) for index in range(255))]
    picture.putpalette([channel for colour in colours for channel in colour])
    content = io.BytesIO()
    picture.save(content, 'PNG')
    return content.getvalue()


def _chip_text(segmentation: Segmentation, index: int) -> str:
    text = f'{index + 1}: {segmentation.scores[index]:.2f}'
    found = segmentation.class_of(index)
    if found is None:
        return text
    # the font of the canvas has no other letters
    name = found[0].encode('ascii', 'replace').decode()
    short = name if len(name) <= _LONGEST_NAME else f'{name[: _LONGEST_NAME - 3]}...'
    return f'{text} {short} {found[1]:.0%}'


def _chip_place(segmentation: Segmentation, index: int) -> np.ndarray:
    """Where an object is labelled: the corner of its mask, or of its prompt if the mask is empty."""
    mask, prompt = segmentation.masks[index], segmentation.prompts[index]
    if mask.any():
        return np.array([mask.any(0).argmax(), mask.any(1).argmax()])
    if prompt.box_xyxy is not None:
        return np.asarray(prompt.box_xyxy)[:2]
    return np.asarray(prompt.points_xy)[0] if len(prompt.points_xy) else np.zeros(2)
