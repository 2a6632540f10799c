"""The same loop under Ray Train, which starts the ranks and tells them of each other."""

from dataclasses import asdict
from typing import Any

from thresher.trainer.config import Config, restored


def train(config: Config, workers: int, fork: bool = False) -> None:
    """Train with so many workers, each with a GPU where the cluster has any. Raises what a worker raises."""
    import ray
    from ray.train import RunConfig, ScalingConfig
    from ray.train.torch import TorchTrainer

    if not ray.is_initialized():
        ray.init(log_to_driver=False)
    use_gpu = ray.cluster_resources().get("GPU", 0) >= workers
    TorchTrainer(
        _worker,
        train_loop_config={"config": asdict(config), "fork": fork},
        scaling_config=ScalingConfig(num_workers=workers, use_gpu=use_gpu),
        run_config=RunConfig(name="ray", storage_path=config.out),
    ).fit()


def _worker(told: dict[str, Any]) -> None:
    from thresher.trainer.run.train import main

    main(restored(told["config"]), told["fork"])
