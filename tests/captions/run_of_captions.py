"""A run whose captions a third-party operator wrote, so that what is told of them is known beforehand."""

import os
import shutil
from pathlib import Path

from tests.conftest import Cli

HOSTILE = "<img src=x onerror=alert(1)> \"quote' & </script>"
PLUGIN = """
import pyarrow as pa
from pydantic import Field

from thresher.operators.base import Measure, Params, Values, View
from thresher.operators.captions.record import (
    CaptionRecord, Claim, Entity, Facts, Maker, OcrLine, Text, Value, joined
)
from thresher.operators.registry import operator
from thresher.schemas import Column

HOSTILE = HERE


class ProbeParams(Params):
    name: str = Field("caption", description="of the column")
    good: bool = Field(True, description="whether the verifier likes what it says")


@operator("probe")
class Probe(Measure):
    params_model = ProbeParams
    views = (View("header"),)

    def writes(self):
        name = self.params.name
        text = Column(name + ".en.short", pa.string(), "", "caption")
        return [Column(name, pa.string(), "", "caption record", backend="probe"), text]

    def measure(self, batch):
        made = [record_of(r.key, self.params) for r in batch.records]
        short = [r.text("en", "short") for r in made]
        return Values({
            self.params.name: [r.dumps() for r in made],
            self.params.name + ".en.short": [t.text if t.status == "pass" else None for t in short],
        })


def record_of(key, params):
    boats = 3 if params.good else 2 + sum(key.encode()) % 9
    p = 0.95 if params.good else 0.85
    judged = dict(t=0.75, verifier="judge-1")
    c1 = Claim(id="c1", field="count", text={"en": f"{boats} boats", "zh": f"{boats}艘船"},
               value=Value(count=boats, label="boat"), provenance=("vlm:tiny", "object:b1"),
               verdict="supported", p=p, **judged)
    c2 = Claim(id="c2", field="primary.key_attributes", text={"en": "the sky is " + HOSTILE},
               provenance=("vlm:tiny",), verdict="supported" if params.good else "refuted",
               p=p if params.good else 1 - p, **judged)
    c3 = Claim(id="c3", field="other.style", text={"en": "calm"}, verdict="unsure", p=0.6, **judged)
    c4 = Claim(id="c4", field="scene.noun", text={"en": "a lake near " + key}, provenance=("vlm:tiny",))
    by = Maker(model="tiny" if params.good else "other")
    en = [(f"On the water lie {boats} boats.", ["c1"]), (f"The sky is {HOSTILE}.", ["c2"]),
          ("It is calm.", ["c3"]), (f"A lake near {key}.", ["c4"]), ("Look.", [])]
    zh, looped = [(f"水上有{boats}艘船。", ["c1"])], [("Boats. " * 9, ["c1"])]
    texts = [
        Text(id="t1", lang="en", level="short", **joined(en, "en"), words=12, by=by),
        Text(id="t2", lang="zh", level="short", **joined(zh, "zh"), words=6, by=by),
        Text(id="t3", lang="en", level="long", **joined(looped, "en"), words=9, by=by, status="fail",
             fails=("repetition",)),
    ]
    facts = Facts(ocr=(OcrLine(id="o1", text="OPEN 24 HOURS", conf=0.97),), ocr_read=True,
                  entities=(Entity(id="e1", name={"en": "Lake Como"}, type="lake"),), image_type="photo")
    return CaptionRecord(languages=("en", "zh"), facts=facts, texts=tuple(texts), claims=(c1, c2, c3, c4),
                         abstained=("lens", "e1"))
""".replace("HERE", repr(HOSTILE))

RECIPE = """
thresher: 1
name: captioned
seed: 7
tables:
  images:
    ingest: {folder: ./photos}
    steps:
      - quality
      - probe
      - probe: {name: other, good: false, as: second}
"""


def make_run(folder: Path, tiles: list[Path], count: int = 24) -> Path:
    """A finished run of `count` pictures with the caption columns `caption` and `other`, in `folder`."""
    photos, site = folder / "photos", folder / "site"
    photos.mkdir()
    for path in tiles[:count]:
        shutil.copy2(path, photos / path.name)
        (photos / path.name).with_suffix(".txt").write_text(f"raw words about {path.stem}")
    info = site / "probe_pkg-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "probe_pkg.py").write_text(PLUGIN)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: probe-pkg\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[thresher.operators]\nprobe = probe_pkg:Probe\n")
    (folder / "captioned.yaml").write_text(RECIPE)
    cli = Cli(folder)
    cli.env["PYTHONPATH"] = os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH")]))
    cli("run", "captioned.yaml", "--run", "r", "--local")
    return folder / "r"
