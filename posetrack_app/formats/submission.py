"""A submission to PoseTrack's server: a zip with a JSON file for each sequence in its root, and what is asked of it.

The rules are those that the organisers and their evaluator state: all sequences and all frames, in the form and under
the names of the ground truth, identities from 0 to 999 and unique in a frame, a score for each joint.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path, PurePosixPath

import msgspec
import numpy as np

from models.skeleton import POSETRACK15
from posetrack_app.errors import InputError, some_of
from posetrack_app.formats import annolist, posetrack2018
from posetrack_app.formats.annotations import JOINTS
from posetrack_app.formats.labelled import LabelledFrame, decode
from posetrack_app.formats.posetrack import LabelledFile, read_labelled
from posetrack_app.formats.saving import saving

__all__ = ["LARGEST_ID", "check", "pack"]

LARGEST_ID = 999
"""Identities go from 0 to this."""

_LARGEST_FRAME = 9999
_MIB = 2**20
_FILE_BYTES = 64 * _MIB  # 200 frames of 50 people are 15 MiB
_ALL_BYTES = 4096 * _MIB
_OFFICIAL = re.compile(r"(?:.*/)?\d+_(?:mpii|bonn|mpiinew)_[^/]*/(\d+)\.jpg")
_EVALUATED = [JOINTS.index(joint) for joint in POSETRACK15.joints]


class _Probe(msgspec.Struct, frozen=True):
    annolist: msgspec.Raw = msgspec.Raw()


def pack(path: Path, files: Sequence[Path]) -> None:
    """Write files into the root of a zip, which gets its final name when it is complete.

    Equal files make an equal zip, whenever they were written.

    Raises:
        OutputError: it cannot be written.
    """
    with saving(path) as partial, zipfile.ZipFile(partial, "w") as archive:
        for file in sorted(files, key=lambda file: file.name):
            member = zipfile.ZipInfo(file.name)  # of 1980: a time of now would make each zip another
            member.external_attr = 0o644 << 16
            archive.writestr(member, file.read_bytes(), compress_type=zipfile.ZIP_DEFLATED)


def check(path: Path, *, gt: Path | None = None) -> list[str]:
    """What is to be mended in a submission, a line each; nothing where it is as the server wants it.

    Files are unpacked one at a time in memory, and none that is larger than any submission needs.

    Args:
        path: the zip.
        gt: folder of the ground truth, or one file of it: its sequences and frames must be there. Without, what the
            names tell of themselves is checked.

    Raises:
        InputError: no such file, or ground truth that cannot be read.
    """
    truths = {} if gt is None else truth_files(gt)
    try:
        with zipfile.ZipFile(path) as archive:
            return list(_wrong_in_archive(archive, truths))
    except FileNotFoundError:
        raise InputError(f"{path} does not exist") from None
    except (zipfile.BadZipFile, NotImplementedError):
        return [f"{path.name} is no zip that can be read: pack the JSON files with zip"]
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from None


def truth_files(gt: Path) -> dict[str, Path]:
    """The files of a ground truth by their names; `gt` is a folder of them or one of them.

    Raises:
        InputError: there is none.
    """
    files = sorted(gt.glob("*.json")) if gt.is_dir() else [gt]
    if not files or not all(file.is_file() for file in files):
        raise InputError(f"{gt} {'has no .json files' if files == [] else 'does not exist'}; it must be ground truth")
    return {file.name: file for file in files}


def _wrong_in_archive(archive: zipfile.ZipFile, truths: Mapping[str, Path]) -> Iterator[str]:
    members = [member for member in archive.infolist() if not member.is_dir()]
    inside = {member.filename: PurePosixPath(member.filename.replace("\\", "/")) for member in members}
    extra = [name for name, place in inside.items() if place.suffix != ".json" or place.name.startswith(".")]
    if extra:
        yield f"{some_of(extra)}: no JSON, take {'it' if len(extra) == 1 else 'them'} out"
    members = [member for member in members if member.filename not in extra]
    folders = Counter(str(inside[member.filename].parent) for member in members)
    for folder, count in sorted(folders.items()):
        if folder != ".":
            yield f"{folder}/: {count} JSON files lie in this folder; all must lie in the root of the zip"
    names = Counter(inside[member.filename].name for member in members)
    twice = [name for name, count in names.items() if count > 1]
    if twice:
        yield f"{some_of(twice)}: there more than once"
    if not members:
        yield "no JSON file is in the zip; each sequence needs one"
    missing = [name for name in truths if name not in names]
    if missing:
        yield f"{len(missing)} of {len(truths)} files are missing: {some_of(missing)}"
    unknown = [name for name in names if truths and name not in truths]
    if unknown:
        yield f"{some_of(unknown)}: no sequence of the ground truth has this name; take it out, or name it as there"
    if sum(member.file_size for member in members) > _ALL_BYTES:
        yield f"unpacked it would be larger than {_ALL_BYTES // _MIB} MiB, which no submission needs: not looked into"
        return
    yield from _wrong_in_members(archive, members, truths)


def _wrong_in_members(
    archive: zipfile.ZipFile, members: Sequence[zipfile.ZipInfo], truths: Mapping[str, Path]
) -> Iterator[str]:
    forms: dict[str, str] = {}  # of each form the first file that has it
    for member in members:
        name = PurePosixPath(member.filename.replace("\\", "/")).name
        try:
            file = _parsed(_unpacked(archive, member), name)
        except InputError as error:
            yield str(error)
            continue
        truth = read_labelled(truths[name]) if name in truths else None
        if truth is not None and file.form != truth.form:
            yield f"{name}: has the form of {file.form}, it must have that of the ground truth, {truth.form}"
        forms.setdefault(file.form, name)
        yield from (f"{name}: {wrong}" for wrong in _wrong_in_file(file, truth))
    if len(forms) > 1 and not truths:
        yield f"{forms['2017']} has the form of 2017 and {forms['2018']} that of 2018; these are two challenges"


def _unpacked(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    """The bytes of a file in the zip, or InputError."""
    if member.flag_bits & 0x1:
        raise InputError(f"{member.filename}: is encrypted; pack it without a password")
    if member.file_size > _FILE_BYTES:
        raise InputError(
            f"{member.filename}: would be {member.file_size // _MIB} MiB unpacked, which no sequence needs "
            f"(at most {_FILE_BYTES // _MIB}); not looked into"
        )
    try:
        with archive.open(member) as file:
            return file.read(_FILE_BYTES + 1)  # never more than the size above, whatever the data says
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError) as error:
        raise InputError(f"{member.filename}: cannot be unpacked ({error}); pack it again") from None


def _parsed(data: bytes, name: str) -> LabelledFile:
    """A file of either form, or InputError."""
    path = Path(name)
    old = decode(data, _Probe, path=path, form="PoseTrack JSON").annolist
    if bytes(old):
        return LabelledFile(path, "2017", annolist.parse(old, path=path))
    return LabelledFile(path, "2018", posetrack2018.parse(data, path=path))


def _wrong_in_file(file: LabelledFile, truth: LabelledFile | None) -> Iterator[str]:
    if not file.frames and truth is None:
        yield "has no frames"
    if file.form == "2018":
        yield from _wrong_names(file)
    ours = [_picture(frame) for frame in file.frames]
    if truth is not None:
        yield from _wrong_frames(ours, [_picture(frame) for frame in truth.frames], named=file.form == truth.form)
    else:
        yield from _gaps(ours)
    yield from _wrong_people(file)


def _wrong_names(file: LabelledFile) -> Iterator[str]:
    """What the names of pictures and of the file must be for the evaluator to read the form of 2018."""
    odd = []
    for frame in file.frames:
        official = _OFFICIAL.fullmatch(frame.file_name)
        if official is None or int(official[1]) > _LARGEST_FRAME:
            odd.append(frame.file_name)
    if odd:
        yield f"`file_name` {some_of(odd)}: must be like images/val/000342_mpii_test/000001.jpg"
    videos = list(dict.fromkeys(PurePosixPath(frame.file_name).parent.name for frame in file.frames))
    if len(videos) > 1:
        yield f"holds frames of {len(videos)} sequences: {some_of(videos)}; each needs a file of its own"
    elif videos and not odd and videos[0].partition("_")[0] != file.path.stem.partition("_")[0]:
        yield f"its frames are of {videos[0]}; the file must be named as the ground truth of that sequence"


def _wrong_frames(ours: list[str], theirs: list[str], *, named: bool) -> Iterator[str]:
    """Frames that the ground truth has and the file lacks, or the reverse; they are paired by their order."""
    if not named:
        if len(ours) != len(theirs):
            yield f"has {len(ours)} frames, the ground truth {len(theirs)}"
        return
    missing, beside = [sorted(set(a) - set(b)) for a, b in ((theirs, ours), (ours, theirs))]
    if missing:
        yield f"{len(missing)} of {len(theirs)} frames are missing: {some_of(missing)}"
    if beside:
        yield f"{len(beside)} frames are none of the ground truth: {some_of(beside)}"
    if len(set(ours)) < len(ours):
        yield f"frames are there twice: {some_of([name for name, count in Counter(ours).items() if count > 1])}"
    elif not missing and not beside and ours != theirs:
        place = next(place for place, pair in enumerate(zip(ours, theirs, strict=True)) if pair[0] != pair[1])
        yield f"images[{place}] is {ours[place]}, the ground truth has {theirs[place]} there: keep its order"


def _gaps(pictures: list[str]) -> Iterator[str]:
    """Numbers that are missing between the first and the last frame, in pictures with numbers for names."""
    stems = [PurePosixPath(picture).stem for picture in pictures]
    if not all(stem.isascii() and stem.isdecimal() for stem in stems):
        return
    numbers = [int(stem) for stem in stems]
    if any(b <= a for a, b in pairwise(numbers)):
        yield "frames are not in the order of their numbers, each once"
        return
    missing = sum(b - a - 1 for a, b in pairwise(numbers))
    if missing:
        before = next(picture for picture, (a, b) in zip(pictures, pairwise(numbers), strict=False) if b > a + 1)
        yield f"{missing} frames are missing, the first after {before}; every frame must be there"


def _wrong_people(file: LabelledFile) -> Iterator[str]:
    """One line for each kind of mistake: the first of its kind, and how many there are."""
    first: dict[str, str] = {}
    count: Counter[str] = Counter()
    for frame in file.frames:
        for kind, n, message in _wrong_in_frame(frame):
            place = n if frame.entry is None else int(frame.entry[n])
            among = "annotations" if file.form == "2018" else "annorect"
            first.setdefault(kind, f"{_picture(frame)}: {among}[{place}]: {message}")
            count[kind] += 1
    for kind, line in first.items():
        yield line + (f" (and {count[kind] - 1} more like this)" if count[kind] > 1 else "")


def _wrong_in_frame(frame: LabelledFrame) -> Iterator[tuple[str, int, str]]:
    """Kind of mistake, row of the person, what to say."""
    seen: set[int] = set()
    unscored = (np.isnan(frame.score) & frame.found)[:, _EVALUATED]
    for n, track_id in enumerate(frame.track_id.tolist()):
        if frame.listed is not None and not frame.listed[n]:
            continue  # a person without joints needs no identity
        if not 0 <= track_id <= LARGEST_ID:
            yield "range", n, f"`track_id` {track_id} must be 0 to {LARGEST_ID}"
        if track_id in seen:
            yield "twice", n, f"`track_id` {track_id} is there twice in this frame"
        seen.add(track_id)
        if unscored[n].any():
            joint = JOINTS[_EVALUATED[int(unscored[n].argmax())]]
            yield "score", n, f"no score of '{joint}': precision is ranked by the scores of joints, each needs one"


def _picture(frame: LabelledFrame) -> str:
    return PurePosixPath(frame.file_name).name
