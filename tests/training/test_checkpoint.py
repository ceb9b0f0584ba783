import json

import pytest
import torch

from recurra.errors import RunError
from recurra.training.checkpoint import (
    FOLDER,
    Checkpoint,
    TrainingState,
    checkpoints,
    load_checkpoint,
    save_checkpoint,
)
from recurra.training.schedule import Plateau

LIMIT = 10**6


def example(step=5):
    state = TrainingState(
        step=step, epoch=1, position=2, seconds=1 / 3, history=[{"step": 4, "valid_loss": 0.1, "valid_f": None}],
        best=0, plateau=Plateau(0.5, 1),
    )  # fmt: skip
    state.tally.loss = 0.1 + 0.2
    shared = torch.arange(6.0).view(2, 3)
    tensors = {
        "weights": {"a": shared, "b": shared.t(), "n": torch.tensor(7), "empty": torch.zeros(0, 3)},
        "optimiser": {"a/exp_avg": torch.full((2, 3), 1e-30, dtype=torch.float64)},
        "best": {"half": torch.ones(2, dtype=torch.bfloat16)},
        "average": {},
    }
    return Checkpoint(state, {"lr": 0.1, "epochs": 3}, {"torch": "2"}, tensors)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / FOLDER).mkdir()
    return tmp_path


def test_a_checkpoint_comes_back_bit_for_bit(folder):
    saved = example()
    path = save_checkpoint(folder, saved)
    assert path.name == "step-00000005.safetensors"
    loaded = load_checkpoint(folder, LIMIT)
    assert (loaded.state, loaded.settings, loaded.surroundings) == (saved.state, saved.settings, saved.surroundings)
    assert loaded.tensors.keys() == {"weights", "optimiser", "best"}
    for kind, tensors in loaded.tensors.items():
        assert tensors.keys() == saved.tensors[kind].keys()
        for name, tensor in tensors.items():
            assert tensor.dtype == saved.tensors[kind][name].dtype
            assert torch.equal(tensor, saved.tensors[kind][name])


def test_there_is_none_before_the_first(folder, tmp_path):
    assert load_checkpoint(folder, LIMIT) is None
    assert load_checkpoint(tmp_path / "nowhere", LIMIT) is None


def test_a_new_checkpoint_replaces_the_one_before(folder):
    for step in (5, 123456789, 1000000000):
        save_checkpoint(folder, example(step))
        assert [path.name for path in checkpoints(folder)] == [f"step-{step:08d}.safetensors"]
    assert load_checkpoint(folder, LIMIT).state.step == 1000000000


def test_any_flipped_bit_is_seen(folder):
    path = save_checkpoint(folder, example())
    whole = path.read_bytes()
    assert len(whole) < 4000
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        with pytest.raises(RunError, match=r"step-00000005\.safetensors"):
            load_checkpoint(folder, LIMIT)


@pytest.mark.parametrize("kept", [0, 3, 8, 100, -1])
def test_a_cut_file_is_refused_by_name(folder, kept):
    path = save_checkpoint(folder, example())
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(RunError, match=r"step-00000005\.safetensors is damaged"):
        load_checkpoint(folder, LIMIT)


def test_the_newest_whole_one_is_taken(folder):
    good = save_checkpoint(folder, example(5)).read_bytes()
    broken = save_checkpoint(folder, example(6))
    broken.write_bytes(broken.read_bytes()[:-1])
    (folder / FOLDER / "step-00000005.safetensors").write_bytes(good)
    assert load_checkpoint(folder, LIMIT).state.step == 5


def test_a_file_beyond_the_limit_is_not_read(folder):
    save_checkpoint(folder, example())
    with pytest.raises(RunError, match="is larger than 100 bytes"):
        load_checkpoint(folder, 100)


def test_a_link_is_not_followed(folder):
    path = save_checkpoint(folder, example())
    path.rename(folder / "elsewhere")
    path.symlink_to(folder / "elsewhere")
    with pytest.raises(RunError, match="is a link"):
        load_checkpoint(folder, LIMIT)


def rewritten(folder, change):
    """A checkpoint whose JSON was changed by someone who also knows how to make its digest."""
    from safetensors.torch import load, save

    from recurra.training.checkpoint import _digest

    path = save_checkpoint(folder, example())
    content = path.read_bytes()
    flat = load(content)
    values = json.loads(json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])["__metadata__"]["training"])
    text = change(values)
    path.write_bytes(save(flat, metadata={"training": text, "sha256": _digest(flat, text)}))


@pytest.mark.parametrize(
    "change",
    [
        lambda v: json.dumps(v | {"state": v["state"] | {"step": -1}}),
        lambda v: json.dumps(v | {"state": v["state"] | {"best": 9}}),
        lambda v: json.dumps(v | {"state": v["state"] | {"surprise": 1}}),
        lambda v: json.dumps(v | {"state": 3}),
        lambda v: json.dumps(v | {"settings": 3}),
        lambda v: "[" * 100_000,
        lambda v: "{",
        lambda v: "9" * 5000,
        lambda v: "{}",
    ],
)
def test_a_forged_text_is_refused_in_a_sentence(folder, change):
    rewritten(folder, change)
    with pytest.raises(RunError, match=r"step-00000005\.safetensors is damaged"):
        load_checkpoint(folder, LIMIT)


def test_a_format_of_the_future_is_refused_by_its_number(folder):
    rewritten(folder, lambda v: json.dumps(v | {"format": 2}))
    with pytest.raises(RunError, match="has the checkpoint format 2, and this version reads 1"):
        load_checkpoint(folder, LIMIT)
