"""No bytes make it raise: random ones, cut files, changed files."""

import contextlib
import gzip
import json
import time
import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from thresher.operators.aigc import cbor, xmp
from thresher.operators.aigc.blocks import Blocks
from thresher.operators.aigc.c2pa import read_store
from thresher.operators.aigc.declared import declared
from thresher.operators.aigc.stealth import read_alpha
from thresher.operators.aigc.tags import generator_of
from thresher.operators.views.containers import FORMATS

_FAST = settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
NOTHING = (False, None, None, False, False)


@pytest.fixture(scope="module")
def marked(files):
    """(format, file) with every kind of mark."""
    store = files.store(files.manifest(files.trained, "GPT-4o"))
    packet = files.xmp(Iptc4xmpExt__DigitalSourceType=files.trained).encode()
    box = files.box(
        b"uuid", bytes.fromhex("d8fec3d61b0e483c92975828877ec481") + b"\0\0\0\0manifest\0" + bytes(8)
    )
    jumbf = (0xEB, b"JP\x00\x01\x00\x00\x00\x01" + store)
    found = [
        ("png", files.png_chunk(b"caBX", store)),
        ("png", files.png({"parameters": files.a1111, "prompt": files.graph}, packet.decode(), packed=True)),
        ("jpeg", files.jpeg((0xE1, b"http://ns.adobe.com/xap/1.0/\x00" + packet), jumbf)),
        ("webp", files.riff(b"C2PA", store)),
        ("webp", files.riff(b"XMP ", packet)),
        ("jxl", files.box(b"JXL ", b"\r\n\x87\n") + files.box(b"xml ", packet) + store),
        ("avif", files.encode(form="AVIF", xmp=packet) + box + store),
    ]
    assert all(declared(data, form) != NOTHING for form, data in found)
    return found


@_FAST
@given(data=st.binary(max_size=400), form=st.sampled_from(FORMATS))
def test_random_bytes_are_no_evidence(data, form):
    heads = {
        "png": b"\x89PNG\r\n\x1a\n",
        "jpeg": b"\xff\xd8\xff\xe1",
        "webp": b"RIFF\0\0\0\0WEBP",
        "tiff": b"II*\0",
    }
    assert declared(data, form) == NOTHING
    assert declared(heads.get(form, b"") + data, form) == NOTHING


@_FAST
@given(which=st.integers(0, 6), cut=st.floats(0, 1), seed=st.integers(0, 2**32), changes=st.integers(0, 12))
def test_cut_and_changed_files_never_raise(marked, which, cut, seed, changes):
    form, data = marked[which]
    rng = np.random.default_rng(seed)
    changed = bytearray(data[: int(cut * len(data)) or 1])
    for at in rng.integers(0, min(len(changed), 3000), changes):
        changed[at] = rng.integers(0, 256)
    answer = declared(bytes(changed), form)
    assert answer.source_type is None or "Media" in answer.source_type


@_FAST
@given(seed=st.integers(0, 2**32), changes=st.integers(1, 8))
def test_changed_manifests_never_raise(files, seed, changes):
    rng = np.random.default_rng(seed)
    store = bytearray(files.store(files.manifest(files.trained, "GPT-4o")))
    for at in rng.integers(0, len(store), changes):
        store[at] = rng.integers(0, 256)
    read_store([bytes(store), bytes(store[::-1])])


@_FAST
@given(data=st.binary(max_size=60))
def test_readers_of_blocks_never_raise(data):
    with contextlib.suppress(ValueError):
        cbor.loads(data)
    xmp.properties(b'<?xml version="1.0" encoding="' + data + b'"?><a/>')
    xmp.properties(b"<a>" + data + b"</a>")
    read_alpha(np.frombuffer(data or b"x", np.uint8).reshape(1, -1), Blocks())


_JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["prompt", "uc", "nodes", "links", "image", "Label"]), inner, max_size=3
        )
    ),
    max_leaves=8,
)
_KEYS = ["parameters", "prompt", "workflow", "Comment", "Software", "sd-metadata", "generation_data"]


@_FAST
@given(
    texts=st.dictionaries(st.sampled_from(_KEYS), _JSON.map(json.dumps) | st.text(max_size=40), max_size=4)
)
def test_any_json_has_an_answer(texts):
    generator_of(texts)


def test_bombs_cost_little(files):
    """Time and memory stay small where a file asks for much."""
    photo, bomb = files.encode(), zlib.compress(b"x" * (8 << 20))
    png = photo[:33] + 200 * files.chunk(b"zTXt", b"parameters\x00\x00" + bomb) + photo[33:]
    nested = files.superbox("c2pa", b"")
    for _ in range(200):
        nested = files.superbox("c2pa", nested)
    wide = files.store(*[files.box(b"jumb", b"")] * 20_000)
    packet = ("<a>" * 100_000 + "</a>" * 100_000).encode()
    flags = " -s" + " --a" * 100_000
    start = time.process_time()
    assert declared(png, "png") == NOTHING
    assert declared(files.png_chunk(b"caBX", nested), "png").c2pa
    assert declared(files.png_chunk(b"caBX", wide), "png").c2pa
    assert xmp.properties(packet) == {}
    assert (
        generator_of({"Description": flags, "Dream": flags, "parameters": "\nSteps: 1, " * 100_000}) is None
    )
    hidden = files.hidden(files.photo, gzip.compress(bytes(10 << 20)))
    blocks = Blocks()
    read_alpha(hidden[:, :, 3], blocks)
    assert blocks.texts == {}
    assert time.process_time() - start < 5
