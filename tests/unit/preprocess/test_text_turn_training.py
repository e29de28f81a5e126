"""Training of the network that tells which way up text stands, in seconds and on Pillow's own font."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from preprocess_service.measures.glyph_crops import CROP_PX
from preprocess_service.measures.text_turn import TurnNetwork
from scripts import train_text_turn as training

_OWN = training.Faces(east_asian=(), western=(training.Face("Aileron", None),))


@pytest.fixture(scope="module")
def crops() -> training.Crops:
    """Crops of a few drawn pages."""
    return training.drawn_crops(_OWN, 16, 0)


def test_pages_are_the_same_for_a_seed(crops: training.Crops) -> None:
    """Each page has a seed of its own."""
    again = training.drawn_crops(_OWN, 2, 0)
    assert np.array_equal(again.pictures, crops.pictures[: len(again.pictures)])
    assert set(again.kinds) <= {"latin", "numbers", "capitals"}


def test_a_short_training_tells_directions_better_than_chance(crops: training.Crops) -> None:
    """One crop in four is right by chance; a hundred and fifty steps make it two in five and more."""
    network = training.trained_network(crops.pictures, 150, 60.0, 1)
    unseen = training.drawn_crops(_OWN, 6, 1000)
    assert training.accuracy_by_kind(network, unseen)["all"] > 0.4


def test_the_same_seed_gives_the_same_network(crops: training.Crops) -> None:
    """As long as its steps end the training."""
    first, second = (training.trained_network(crops.pictures, 5, 60.0, 3) for _ in range(2))
    assert np.array_equal(first.first, second.first)
    assert np.array_equal(first.third, second.third)


def test_the_time_ends_a_training(crops: training.Crops) -> None:
    """By the clock that is given."""
    times = iter(range(100))
    training.trained_network(crops.pictures, 10**6, 3.0, 0, lambda: float(next(times)))
    assert next(times) == 4


def test_weights_are_written_and_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The file is what the service loads, and the report tells accuracy by kind."""
    out = tmp_path / "weights.npz"
    given = ["--fonts", str(tmp_path), "--out", str(out), "--pages", "4", "--steps", "3", "--seconds", "20"]
    assert training.main(given) == 0
    network = TurnNetwork.load(out)
    told = network.log_probabilities(np.zeros((2, CROP_PX, CROP_PX), np.float32))
    assert np.allclose(np.exp(told), 0.25)
    assert "all" in capsys.readouterr().out


def test_nothing_to_draw_with_and_nothing_to_train_on_are_told() -> None:
    """As errors of the one who calls."""
    with pytest.raises(ValueError, match="no font"):
        training.drawn_crops(training.Faces((), ()), 1, 0)
    with pytest.raises(ValueError, match="no crops"):
        training.trained_network(np.empty((0, CROP_PX, CROP_PX), np.uint8), 1, 1.0, 0)
