"""Reading labelled photos: COCO keypoints, PoseTrack2018, and the same with labels made by a machine.

All are one form with more or fewer fields. `images` have `id` and `file_name`; `width` and `height`, a `source`, and
PoseTrack's `is_labeled` and `ignore_regions_x` and `_y` may follow. `annotations` have `image_id` and `keypoints`;
`bbox`, `area`, `iscrowd` and PoseTrack's `bbox_head` may follow, and where a machine labelled:

- `label`: `human` or `machine`. A person that a human labelled has joints that nobody marked and that are there
  nevertheless; of a machine's person they count as absent, unless they are listed in
- `uncertain`: [joint, x, y] of places that are not trusted;
- `machine_face`: [x, y, score] of the five joints of the face of a person whose face no human labelled;
- `head_region`: the box of the head, where those are unknown if the scores are low.

Letters: K joints of the skeleton, J joints of the file.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt
from PIL import Image

from models.skeleton import Skeleton
from posetrack_app.errors import InputError
from posetrack_app.formats.labelled import decode, load
from posetrack_app.formats.photos import PhotoFinder
from posetrack_app.training.person import FACE, PeopleReader, PersonEntry, PhotoEntry
from posetrack_app.training.photos import LabelledPhoto

__all__ = ["read_photos"]

_FORM = "COCO keypoints or PoseTrack2018"


class _Category(msgspec.Struct, frozen=True):
    name: str
    keypoints: list[str] = []


class _File(msgspec.Struct, frozen=True):
    images: list[PhotoEntry]
    annotations: list[PersonEntry]
    categories: list[_Category]


def read_photos(
    annotations: Path, images: Path | None = None, *, skeleton: Skeleton, face_score: float = 0.25
) -> list[LabelledPhoto]:
    """The photos of a file, or of a folder of files, in its order.

    Joints are matched by name. Where a person has a joint that nobody labelled, nothing is known of it inside the
    person's box; joints that no file labels at all are unknown in the same way.

    Args:
        annotations: JSON, or a folder with files of it, one for each video.
        images: folder in which photos lie by their names, or by a last part of them; None: the folder of the file.
        skeleton: which joints.
        face_score: from which score on the joints of a face found by a machine are labels.

    Raises:
        InputError: no such file, no JSON, or not of this form; a photo is missing; names file and annotation.
    """
    if annotations.is_dir():
        paths = sorted(annotations.glob("*.json"))
        if not paths:
            raise InputError(f"{annotations} holds no JSON file")
    else:
        paths = [annotations]
    files = [_read(path, skeleton) for path in paths]
    labelled = np.any([_ever_labelled(path, file, skeleton) for path, file in zip(paths, files, strict=True)], axis=0)
    finder = PhotoFinder(images or paths[0].parent)
    return [
        photo
        for path, file in zip(paths, files, strict=True)
        for photo in _photos(path, file, finder, labelled, skeleton, face_score)
    ]


def _read(path: Path, skeleton: Skeleton) -> _File:
    """A file whose parts fit together."""
    file = decode(load(path), _File, path=path, form=_FORM)
    names = _names(path, file)
    if not set(names) & set(skeleton.joints):
        raise InputError(f"{path}: `categories` names no joint of {skeleton.name}")
    known = {photo.id for photo in file.images}
    if len(known) < len(file.images):
        raise InputError(f"{path}: two of `images` have the same `id`")
    for number, person in enumerate(file.annotations):
        wrong = _what_is_wrong(person, len(names), known)
        if wrong:
            which = f"annotations[{number}]" if person.id is None else f"annotation {person.id}"
            raise InputError(f"{path}: {which} {wrong}")
    for photo in file.images:
        if [len(x) for x in photo.ignore_regions_x] != [len(y) for y in photo.ignore_regions_y]:
            raise InputError(f"{path}: image {photo.id}: `ignore_regions_x` and `ignore_regions_y` differ in length")
    return file


def _names(path: Path, file: _File) -> list[str]:
    """The file's joints."""
    named = [category.keypoints for category in file.categories if category.name == "person"]
    if len(named) != 1 or not named[0]:
        raise InputError(f"{path}: `categories` must hold one named person, with the names of its `keypoints`")
    return named[0]


def _what_is_wrong(person: PersonEntry, J: int, photos: set[int]) -> str | None:
    """What makes an annotation unusable, or None."""
    if person.image_id not in photos:
        return f"is of photo {person.image_id}, which `images` does not name"
    if len(person.keypoints) not in (0, 3 * J):
        return f"has {len(person.keypoints)} numbers in `keypoints`, for {J} joints it needs {3 * J}"
    for joint, _, _ in person.uncertain:
        if joint not in range(J):
            return f"has joint {joint:g} in `uncertain`, the file has joints 0 to {J - 1}"
    if len(person.machine_face) not in (0, len(FACE)):
        return f"has {len(person.machine_face)} joints in `machine_face`, it needs {len(FACE)} or none"
    for name in ("bbox", "bbox_head", "head_region"):
        box = getattr(person, name)
        if box and len(box) != 4:
            return f"has {len(box)} numbers in `{name}`, it needs 4"
    return None


def _ever_labelled(path: Path, file: _File, skeleton: Skeleton) -> npt.NDArray[np.bool_]:
    """(K,): somebody labelled the joint of some person."""
    names = _names(path, file)
    flags = np.array([person.keypoints[2::3] for person in file.annotations if person.keypoints])
    used = np.flatnonzero((flags.reshape(-1, len(names)) > 0).any(axis=0))
    labelled = {names[column] for column in used}
    if any(person.machine_face for person in file.annotations):
        labelled |= set(FACE)
    return np.array([joint in labelled for joint in skeleton.joints])


def _photos(
    path: Path,
    file: _File,
    finder: PhotoFinder,
    ever_labelled: npt.NDArray[np.bool_],
    skeleton: Skeleton,
    face_score: float,
) -> list[LabelledPhoto]:
    """The labelled photos of a file."""
    names = _names(path, file)
    reader = PeopleReader(names, ever_labelled, skeleton, face_score)
    people: dict[int, list[PersonEntry]] = {photo.id: [] for photo in file.images}
    for person in file.annotations:
        people[person.image_id].append(person)
    found = []
    for photo in file.images:
        if not (photo.is_labeled or people[photo.id]):
            continue
        picture = finder.find(photo.file_name)
        if picture is None:
            what = f"photo {photo.id}, {photo.file_name}, is not in {finder.folder}"
            raise InputError(f"{path}: {what}; --images names the folder of the photos")
        width, height = photo.width, photo.height
        if width < 1 or height < 1:
            width, height = _size_of(picture)
        found.append(reader.photo(photo, people[photo.id], picture, (width, height)))
    return found


def _size_of(path: Path) -> tuple[int, int]:
    """Width and height of a picture as it is stored, without decoding it."""
    try:
        with Image.open(path) as picture:
            return picture.size
    except (OSError, Image.DecompressionBombError) as error:
        reason = (str(error).splitlines() or [""])[0]
        raise InputError(f"photo {path} cannot be read as a picture: {reason}") from None
