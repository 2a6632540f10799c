"""One demo pool for all tests of this folder."""

from pathlib import Path

import pytest

from thresher.pipelines.demo import make_pool


@pytest.fixture(scope="session")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("demo") / "pool"
    make_pool(directory, seed=0)
    return directory
