"""The fixtures are exports: the verifier of exports finds no fault in them."""

from tests.trainer.shards import plain, png, words, write_export
from thresher.operators.export import verify


def test_an_export_of_fixtures_is_sound(tmp_path):
    samples = [plain("a red square", png(64, 48)), words("Only words."), plain("noise", png(32, 32, seed=1))]
    folder = write_export(tmp_path / "export", samples, per_shard=2)
    found = verify.verify(str(folder))
    assert (found.records, found.shards, found.faults) == (3, 2, [])
