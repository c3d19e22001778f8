"""Whether XGBoost can train on a GPU, and whether it does."""

from __future__ import annotations

import json
from typing import Any

from ratchet.errors import ConfigError


def require_cuda() -> None:
    """Refuse an XGBoost that is built for the CPU alone; whether there is a GPU is seen later.

    Raises:
        ConfigError: it cannot use CUDA.
    """
    try:
        import xgboost
    except ImportError:
        return  # the catalogue says what to install
    if not xgboost.build_info().get("USE_CUDA"):
        raise ConfigError(
            "This XGBoost cannot use CUDA",
            why=f"xgboost {xgboost.__version__} is built for the CPU alone",
            fix="pip uninstall xgboost-cpu && pip install xgboost, or set `device: cpu`",
            where="training.algorithms.xgboost.device",
        )


def refuse_without_gpu(booster: Any) -> None:
    """Refuse to train on the CPU what is to be trained on a GPU; XGBoost would only warn.

    Raises:
        ConfigError: the booster, which has its parameters and rows, sees no GPU.
    """
    import xgboost

    # For this thread alone; the warning would tell the same.
    with xgboost.config_context(verbosity=0):
        config = json.loads(booster.save_config())
    device = config["learner"]["generic_param"]["device"]
    if not device.startswith("cuda"):
        raise ConfigError(
            "XGBoost is to train on a GPU, and sees none",
            why=f"with `device: cuda` it would train on `{device}`",
            fix="train where `nvidia-smi` lists a GPU, or set `device: cpu`",
            where="training.algorithms.xgboost.device",
        )
