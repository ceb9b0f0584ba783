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

RUN = """
import sys, torch, recurra.nn
names = ("RNN", "LSTM", "GRU", "RNNCell", "LSTMCell", "GRUCell")
for name in names:
    for place in (torch.nn, torch.nn.modules, torch.nn.modules.rnn):
        setattr(place, name, getattr(recurra.nn, name))
import recurra.nn.padded as padded
padded.pays = lambda *_: True  # packed batches there are too small to pay
import pytest
sys.exit(pytest.main(sys.argv[1:]))
"""


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
    chosen = "(rnn or RNN or lstm or LSTM or gru or GRU) and not transformer"
    file = checkout / "test" / "test_nn.py"
    command = [sys.executable, "-c", RUN, str(file), "-q", "-rfE", "-p", "no:cacheprovider", "-k", chosen]
    done = subprocess.run(command, cwd=file.parent, capture_output=True, text=True, check=False)
    passed = re.search(r"(\d+) passed", done.stdout)
    assert done.returncode == 0 and passed, done.stdout[-4000:] + done.stderr[-2000:]
    assert int(passed[1]) >= 5, done.stdout[-1000:]
