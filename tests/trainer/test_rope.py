"""Positions of text and images."""

import pytest
import torch

from tests.trainer.rows import image, noise_image, row, text
from thresher.loader.plan.pattern import Kind
from thresher.trainer.model.rope import angles, rotate


@pytest.mark.acceptance("T17")
@pytest.mark.parametrize("head", [16, 32, 64, 128])
def test_text_is_turned_as_by_one_axis_bit_for_bit(head):
    place = torch.arange(5_000)
    cos, sin = angles(place[:, None].expand(-1, 3), head, 10_000)
    frequency = 10_000 ** (-2.0 * torch.arange(head // 2).float() / head)
    turned = place.float()[:, None] * frequency
    assert torch.equal(cos, turned.cos()) and torch.equal(sin, turned.sin())


@pytest.mark.acceptance("T17")
def test_each_frequency_belongs_to_one_axis_in_turn():
    owned = [(angles(torch.eye(3)[axis], 32, 10_000)[1] != 0).nonzero()[:, 0].tolist() for axis in range(3)]
    assert owned == [[0, 5, 10, 15], [1, 3, 6, 8, 11, 13], [2, 4, 7, 9, 12, 14]]


@pytest.mark.acceptance("T17")
def test_copies_of_an_image_share_its_place_and_no_grid_is_too_large():
    pixels = noise_image(0, 8, 12)
    made = row(32, [text(3, 4), image(Kind.NOISY, pixels, "a"), image(Kind.CLEAN, pixels, "a"), text(5)])
    copy = [[2, 2 + r, 2 + c] for r in range(2) for c in range(3)]
    assert made.position[:15].tolist() == [[0, 0, 0], [1, 1, 1], *copy, *copy, [5, 5, 5]]
    cos, sin = angles(torch.tensor([[7, 100_000, 5]]), 64, 10_000)
    turned = rotate(torch.ones(1, 2, 64), cos, sin)
    assert turned.isfinite().all() and torch.allclose(turned.norm(dim=-1), torch.tensor(8.0))


def test_scores_follow_from_distance_alone():
    torch.manual_seed(0)
    q, k = torch.randn(2, 1, 1, 32)
    near = [torch.tensor([[[p, p + 3, p + 1]], [[p + 4, p + 2, p + 9]]]) for p in (0, 40)]
    scores = [(rotate(q, *angles(a, 32, 1e4)) * rotate(k, *angles(b, 32, 1e4))).sum() for a, b in near]
    torch.testing.assert_close(scores[0], scores[1], atol=1e-4, rtol=1e-4)
