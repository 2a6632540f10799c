"""The columns of `aigc`: what a file says of its own making, and what its pixels carry."""

import pyarrow as pa

from thresher.schemas import Column

SOURCE_TYPES = (
    "trainedAlgorithmicMedia",
    "compositeWithTrainedAlgorithmicMedia",
    "compositeSynthetic",
    "trainedAlgorithmicData",
    "algorithmicMedia",
    "algorithmicallyEnhanced",
    "dataDrivenMedia",
    "composite",
    "compositeCapture",
    "humanEdits",
    "minorHumanEdits",
    "digitalCreation",
    "digitalArt",
    "softwareImage",
    "virtualRecording",
    "screenCapture",
    "computationalCapture",
    "digitalCapture",
    "negativeFilm",
    "positiveFilm",
    "print",
    "empty",
)
"""IPTC's vocabulary `digitalsourcetype` and the two words that C2PA adds, the strongest claim first."""

AI_TYPES = SOURCE_TYPES[:2]
"""A generative model made the picture, or a part of it."""

_S = pa.string()

COLUMNS = [
    Column(
        "aigc_tier",
        _S,
        "name",
        "best evidence of a generator: A declared in the file, B a known invisible mark; null is no evidence",
        values=("A", "B"),
    ),
    Column("generator", _S, "name", "who made it by that evidence, as far as it says; null if it does not"),
    Column(
        "digital_source_type",
        _S,
        "name",
        "IPTC digital source type declared in XMP or C2PA, cameras included; not checked against a signature",
        values=SOURCE_TYPES,
    ),
    Column(
        "c2pa",
        _S,
        "name",
        "whether the file holds a C2PA manifest; its presence says nothing of AI, cameras sign too",
        values=("none", "present"),
    ),
    Column(
        "camera_exif",
        pa.bool_(),
        "flag",
        "EXIF names make and model of a camera and an exposure; nobody checked it, and anybody can write it",
    ),
    Column(
        "dwtdct_bits",
        pa.int16(),
        "bits",
        "matching, of the invisible mark found (SD 136, SDXL 48, FLUX 46); 0: none; null: lossy, small, flat",
        0,
        136,
    ),
    Column(
        "aigc_spectral",
        pa.float32(),
        "score",
        "spectral traces of upsampling in the luma; not a probability, high for any upsampling",
        0,
        1,
    ),
]
