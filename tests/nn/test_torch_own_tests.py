"""The recurrent tests of torch's own test/test_nn.py, with the classes of torch.nn replaced by the drop-ins.

They need a checkout of PyTorch, near the installed version, named by RECURRA_PYTORCH; without one this is skipped.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

# unittest, not pytest: a checkout has a conftest.py and plugins of its own
RUN = """
import sys, unittest, torch, recurra.nn, recurra.nn.padded
for name in ("RNN", "LSTM", "GRU", "RNNCell", "LSTMCell", "GRUCell"):
    for place in (torch.nn, torch.nn.modules, torch.nn.modules.rnn):
        setattr(place, name, getattr(recurra.nn, name))
recurra.nn.padded.pays = lambda *_: True  # the packed batches there are too small to pay
import test_nn
loader = unittest.TestLoader()
loader.testNamePatterns = [f"*{part}*" for part in sys.argv[1:]]
done = unittest.TextTestRunner(verbosity=2).run(loader.loadTestsFromModule(test_nn))
sys.exit(not done.wasSuccessful())
"""
CHOSEN = ("rnn", "RNN", "lstm", "LSTM", "gru_", "GRU", "variable_sequence", "cudnn_forward_exception")


@pytest.fixture
def checkout() -> Path:
    """A checkout of PyTorch."""
    named = os.environ.get("RECURRA_PYTORCH")
    if not named:
        pytest.skip("torch's own test_nn.py needs a checkout of PyTorch; set RECURRA_PYTORCH to its folder")
    folder = Path(named)
    assert (folder / "test" / "test_nn.py").is_file(), f"RECURRA_PYTORCH: {folder} has no test/test_nn.py"
    return folder


def test_torchs_own_recurrent_tests_pass_with_the_drop_ins_in_place(checkout: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", RUN, *CHOSEN], cwd=checkout / "test", capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-6000:]
    passed = re.findall(r"\.\.\. ok$", done.stderr, re.MULTILINE)
    assert len(passed) >= 5, done.stderr[-2000:]
