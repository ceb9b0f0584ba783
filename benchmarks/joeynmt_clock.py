"""JoeyNMT under a clock: started by joeynmt.py with the peer's own Python, never imported.

    PYTHON -P joeynmt_clock.py train|test CONFIG REPORT [ANSWERS]

The package is left as it is. What is put in its way: the seconds of this process and the target tokens of each training
step are written down, and so are the seconds of each search; the scheduler that it makes with `verbose`, which torch
no longer knows, is made without; where importlib_metadata is missing, which it does not declare, the standard
library's is taken. `test` answers the test pairs alone.
"""

# ruff: noqa: E402  the missing module is there before the package asks for it
from __future__ import annotations

import importlib.metadata
import json
import sys
import time
from pathlib import Path
from typing import Any

sys.modules.setdefault("importlib_metadata", importlib.metadata)

import joeynmt.builders
import joeynmt.prediction
import joeynmt.training
import torch
from joeynmt.config import load_config
from joeynmt.helpers import make_model_dir
from joeynmt.helpers_for_ddp import get_logger


def main(what: str, config: str, report: str, answers: str = "") -> None:
    torch.set_num_threads(1)
    found: dict[str, Any] = {"steps": [], "searches": [], "torch": torch.__version__}
    watch(found)
    plateau = joeynmt.builders.ReduceLROnPlateau
    joeynmt.builders.ReduceLROnPlateau = lambda *args, verbose=False, **options: plateau(*args, **options)
    settings = load_config(Path(config))
    if what == "train":
        make_model_dir(Path(settings["model_dir"]), overwrite=settings["training"]["overwrite"])
    get_logger("", log_file=f"{settings['model_dir']}/{what}.log")
    if what == "train":
        joeynmt.training.train(rank=0, world_size=None, cfg=settings, skip_test=True)
    else:
        settings["data"].pop("dev")
        joeynmt.prediction.test(cfg=settings, output_path=answers)
    Path(report).write_text(json.dumps(found))


def watch(found: dict[str, Any]) -> None:
    """Note when each step began and how many target tokens it had, and what each search took."""
    step, search = joeynmt.training.TrainManager._train_step, joeynmt.prediction.predict

    def stepped(manager: Any, batch: Any) -> Any:
        found["steps"].append((time.process_time(), int(batch.ntokens)))
        return step(manager, batch)

    def searched(*args: Any, **options: Any) -> Any:
        began = time.process_time()
        answers = search(*args, **options)
        found["searches"].append(time.process_time() - began)
        found["parameters"] = sum(one.numel() for one in options["model"].parameters())
        return answers

    joeynmt.training.TrainManager._train_step = stepped
    joeynmt.training.predict = joeynmt.prediction.predict = searched


if __name__ == "__main__":
    main(*sys.argv[1:])
