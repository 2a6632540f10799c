"""Tier A: what files declare, in every container and by every generator."""

import gzip
import json
import struct
from pathlib import Path

import numpy as np
import pytest
import skimage
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

from thresher.operators.aigc import Aigc
from thresher.operators.registry import get

INVOKE = json.dumps({"generation_mode": "txt2img", "positive_prompt": "a cat", "app_version": "4.2"})
NOVEL = json.dumps({"prompt": "a cat", "uc": "lowres", "steps": 28})
LABEL = json.dumps({"Label": "1", "ContentProducer": "Doubao", "ProduceID": "7", "PropagateID": ""})
WORKFLOW = json.dumps({"nodes": [{"id": 1, "type": "KSampler"}], "links": [], "version": 0.4})
SWARM = json.dumps({"sui_image_params": {"prompt": "a cat", "seed": 1}})
TENSOR = json.dumps({"prompt": "a cat", "baseModel": {"label": "SDXL"}, "seed": "1"})
JOB = "a cat --ar 16:9 --v 6.0 Job ID: 8de26a4f-1111-4222-8333-1234567890ab"

TEXTS = [
    ("A1111", {"parameters": "A1111"}),
    ("ComfyUI", {"prompt": "GRAPH"}),
    ("ComfyUI", {"workflow": WORKFLOW}),
    ("ComfyUI", {"prompt": "GRAPH", "parameters": "A1111"}),
    ("InvokeAI", {"invokeai_metadata": INVOKE}),
    ("InvokeAI", {"invokeai_graph": json.dumps({"id": "1", "nodes": {}, "edges": []})}),
    ("InvokeAI", {"sd-metadata": json.dumps({"model": "sd", "app_id": "invoke", "image": {"seed": 1}})}),
    ("InvokeAI", {"Dream": '"a cat" -s 50 -S 1234 -W 512 -H 512 -C 7.5 -A k_lms'}),
    ("NovelAI", {"Software": "NovelAI", "Comment": NOVEL, "Source": "NovelAI Diffusion V3"}),
    ("SwarmUI", {"parameters": SWARM}),
    ("Fooocus", {"fooocus_scheme": "fooocus", "parameters": json.dumps({"prompt": "a cat", "steps": 30})}),
    ("Fooocus", {"fooocus_scheme": "a1111", "parameters": "A1111"}),
    ("TensorArt", {"generation_data": TENSOR + "\x00"}),
    ("Midjourney", {"Description": JOB}),
    ("Doubao", {"AIGC": LABEL}),
]
WEAK = [
    {"parameters": "camera parameters: f/8, 1/250 s. Steps: none"},
    {"parameters": json.dumps({"prompt": "a cat"})},
    {"prompt": "a cat on a mat"},
    {"prompt": json.dumps({"question": "why?"})},
    {"workflow": json.dumps({"nodes": "none"})},
    {"workflow": json.dumps({"nodes": [1, 2], "links": []})},
    {"Software": "NovelAI"},
    {"Software": "GIMP 2.10", "Comment": NOVEL},
    {"Software": "Adobe Photoshop", "Comment": "made with care"},
    {"Description": "The Job ID: of the printer"},
    {"Dream": "I had a dream -s"},
    {"fooocus_scheme": "fooocus"},
    {"AIGC": json.dumps({"Label": "2", "ContentProducer": "Doubao"})},
    {"AIGC": json.dumps({"Label": "1"})},
    {"generation_data": "[1, 2"},
]
CLEAR = {"aigc_tier": None, "generator": None, "digital_source_type": None, "c2pa": "none"}


def said(row: dict) -> dict:
    return {name: row[name] for name in CLEAR}


def test_the_declared_columns():
    assert get("aigc") is Aigc and Aigc.movable
    names = "aigc_tier generator digital_source_type c2pa camera_exif dwtdct_bits aigc_spectral"
    assert [c.name for c in Aigc().writes()] == names.split()


@pytest.mark.acceptance("I8")
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "compressed"])
def test_text_chunks_name_the_generator(files, measure, packed):
    known = {"A1111": files.a1111, "GRAPH": files.graph}
    for generator, texts in TEXTS:
        row = measure(files.png({k: known.get(v, v) for k, v in texts.items()}, packed=packed))
        assert said(row) == {**CLEAR, "aigc_tier": "A", "generator": generator}, texts


@pytest.mark.acceptance("I8")
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "compressed"])
def test_labels_and_source_types_in_xmp(files, measure, packed):
    label = files.xmp(TC260__AIGC=LABEL)
    assert said(measure(files.png(xmp=label, packed=packed))) == {
        **CLEAR,
        "aigc_tier": "A",
        "generator": "Doubao",
    }
    trained = files.xmp(Iptc4xmpExt__DigitalSourceType=files.trained, xmp__CreatorTool="Adobe Firefly 3")
    assert said(measure(files.png(xmp=trained, packed=packed))) == {
        "aigc_tier": "A",
        "generator": "Adobe Firefly",
        "digital_source_type": "trainedAlgorithmicMedia",
        "c2pa": "none",
    }


@pytest.mark.acceptance("I8")
def test_a_camera_jpeg_names_none(files, measure):
    exif = Image.Exif()
    exif[0x010F], exif[0x0110], exif[0x0131] = "HUAWEI", "P60", "HarmonyOS"
    exif[0x010E] = "a cat --ears up"
    exif.get_ifd(0x8769)[0x9286] = b"ASCII\x00\x00\x00Steps: 20 to the door"
    camera = files.xmp(
        Iptc4xmpExt__DigitalSourceType=files.trained.replace("trainedAlgorithmicMedia", "digitalCapture"),
        xmp__CreatorTool="HarmonyOS",
    )
    row = measure(files.jpeg((0xE1, b"http://ns.adobe.com/xap/1.0/\x00" + camera.encode()), exif=exif))
    assert said(row) == {**CLEAR, "digital_source_type": "digitalCapture"}
    for name in ("rocket", "hubble_deep_field", "retina"):
        photo = (Path(skimage.__file__).parent / "data" / f"{name}.jpg").read_bytes()
        assert said(measure(photo)) == CLEAR


@pytest.mark.parametrize("form", ["JPEG", "WEBP", "PNG", "AVIF"])
def test_a_camera_names_itself_and_an_exposure(files, measure, form):
    def camera(exposure, **names):
        exif = Image.Exif()
        exif[0x0131] = "tests"
        for tag, name in {0x010F: "HUAWEI", 0x0110: "P60"}.items():
            exif[tag] = names.get(f"x{tag:04x}", name)
        exif.get_ifd(0x8769).update(exposure)
        return measure(files.encode(form=form, exif=exif))["camera_exif"]

    assert all(camera({tag: IFDRational(28, 10)}) for tag in (0x829A, 0x829D)) and camera({0x8827: 100})
    assert not camera({}) and not camera({0x8827: 0}) and not camera({0x8827: 100}, x010f=" ")
    assert not camera({0x8827: 100}, x010f="workflow:" + WORKFLOW, x0110="prompt:" + files.graph)
    assert measure(files.encode(form=form))["camera_exif"] is False


@pytest.mark.parametrize("texts", WEAK)
def test_a_field_without_its_shape_is_no_evidence(files, measure, texts):
    assert said(measure(files.png(texts))) == CLEAR


@pytest.mark.parametrize("form", ["JPEG", "WEBP", "PNG", "AVIF", "TIFF"])
def test_exif_in_any_container(files, measure, form):
    exif = Image.Exif()
    exif[0x0131] = "tests"  # Pillow takes a block of nothing but a sub-directory for empty
    exif.get_ifd(0x8769)[0x9286] = b"UNICODE\x00" + files.a1111.encode("utf-16-be")
    row = measure(files.encode(form=form, exif=exif))
    if form != "TIFF":  # Pillow writes no sub-directory there
        assert (row["aigc_tier"], row["generator"]) == ("A", "A1111")
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = "workflow:" + WORKFLOW, "prompt:" + files.graph
    assert measure(files.encode(form=form, exif=exif))["generator"] == "ComfyUI"


@pytest.mark.parametrize("form", ["JPEG", "WEBP", "PNG", "AVIF", "TIFF"])
def test_xmp_in_any_container(files, measure, form):
    packet = files.xmp(Iptc4xmpExt__DigitalSourceType=files.trained, photoshop__Credit="Made with Google AI")
    if form == "PNG":
        data = files.png(xmp=packet)
    elif form == "TIFF":
        data = files.encode(form=form, tiffinfo={700: packet.encode()})
    else:
        data = files.encode(form=form, xmp=packet.encode())
    row = measure(data)
    assert (row["generator"], row["digital_source_type"]) == ("Google", "trainedAlgorithmicMedia")


def test_xmp_by_attribute_and_by_reference(files, measure):
    element = files.xmp(Iptc4xmpExt__DigitalSourceType=files.trained)
    open_tag, close = "<Iptc4xmpExt:DigitalSourceType>", "</Iptc4xmpExt:DigitalSourceType>"
    reference = element.replace(
        f"{open_tag}{files.trained}{close}",
        f'<Iptc4xmpExt:DigitalSourceType rdf:resource="{files.trained}"/>',
    )
    attribute = files.xmp().replace(
        'rdf:about=""', f'rdf:about="" Iptc4xmpExt:DigitalSourceType="{files.trained}"'
    )
    listed = element.replace(files.trained, f"<rdf:Bag><rdf:li>{files.trained}</rdf:li></rdf:Bag>")
    for packet in (element, reference, attribute, listed):
        assert measure(files.png(xmp=packet))["digital_source_type"] == "trainedAlgorithmicMedia"


def test_extended_xmp_is_put_together(files, measure):
    packet = files.xmp(dc__description="x" * 70_000, TC260__AIGC=LABEL).encode()
    guid, extension = b"0123456789ABCDEF" * 2, b"http://ns.adobe.com/xmp/extension/\x00"
    main = files.xmp(xmp__CreatorTool=guid.decode()).encode()
    pieces = [
        (0xE1, extension + guid + struct.pack(">II", len(packet), at) + packet[at : at + 40_000])
        for at in (40_000, 0)
    ]
    head = (0xE1, b"http://ns.adobe.com/xap/1.0/\x00" + main)
    assert measure(files.jpeg(head, *pieces))["generator"] == "Doubao"
    assert measure(files.jpeg(*pieces))["generator"] is None, "no packet refers to it"


def test_googles_credit_in_iptc(files, measure):
    credit = b"Made with Google AI"
    iim = b"\x1c\x02\x05" + struct.pack(">H", 2) + b"ab" + b"\x1c\x02\x6e" + struct.pack(">H", 19) + credit
    other = b"8BIM\x04\x25\x00\x00" + struct.pack(">I", 3) + b"abc\x00"
    segment = b"Photoshop 3.0\x00" + other + b"8BIM\x04\x04\x00\x00" + struct.pack(">I", len(iim)) + iim
    assert measure(files.jpeg((0xED, segment)))["generator"] == "Google"
    assert measure(files.jpeg((0xED, segment.replace(credit, b"Made by Google Alps"))))["generator"] is None


@pytest.mark.parametrize("mark", [b"stealth_pngcomp", b"stealth_pnginfo"])
def test_texts_hidden_in_the_alpha_channel(files, measure, mark):
    fields = json.dumps({"Software": "NovelAI", "Comment": NOVEL}).encode()
    for content, generator in ((fields, "NovelAI"), (files.a1111.encode(), "A1111")):
        text = gzip.compress(content) if mark.endswith(b"comp") else content
        hidden = files.hidden(files.photo, text, mark)
        assert measure(files.encode(hidden))["generator"] == generator
        hidden[1, 0, 3] ^= 1
        assert measure(files.encode(hidden))["generator"] is None
    assert measure(files.encode(np.dstack([files.photo, files.photo[:, :, 0]])))["generator"] is None


def test_documents_with_entities_are_refused(files, measure):
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>'
    packet = files.xmp(Iptc4xmpExt__DigitalSourceType=files.trained)
    assert said(measure(files.png(xmp=bomb + packet))) == CLEAR


def test_what_is_over_a_limit_is_left_out(files, measure):
    long = files.a1111 + " " * (5 << 20)
    assert said(measure(files.png({"parameters": long}, packed=True))) == CLEAR
    deep = "[" * 100_000
    assert said(measure(files.png({"prompt": '{"a":' + deep, "workflow": deep}))) == CLEAR
