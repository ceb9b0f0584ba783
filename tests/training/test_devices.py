import pytest
import torch

from recurra.errors import SettingsError
from recurra.training.devices import check_precision, choose_device, forked_generators, seed_generators, threads

CPU = torch.device("cpu")


def test_cpu_is_cpu_and_auto_is_a_device_that_works():
    assert choose_device("cpu") == CPU
    assert torch.ones(1, device=choose_device("auto")).item() == 1.0


def test_a_device_that_is_not_there_is_refused_in_a_sentence():
    with pytest.raises(SettingsError, match=r"device: cuda:99 is not here; (the last|torch finds no CUDA)"):
        choose_device("cuda:99")
    if not torch.backends.mps.is_available():
        with pytest.raises(SettingsError, match="device: mps is not available here; give auto or cpu"):
            choose_device("mps")


@pytest.mark.parametrize("name", ["gpu", "cuda:x", "cpu:0", ""])
def test_a_name_that_is_no_device_is_refused(name):
    with pytest.raises(SettingsError, match="is none of auto, cpu, cuda, cuda:N, mps"):
        choose_device(name)


def test_bf16_is_refused_where_the_processor_has_none(monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True, "avx512_bf16": False}, raising=False)
    with pytest.raises(SettingsError, match="precision: bf16 is not in the arithmetic of this cpu device; give fp32"):
        check_precision("bf16", CPU)
    check_precision("fp32", CPU)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": True}, raising=False)
    check_precision("bf16", CPU)


def test_the_callers_generator_and_threads_come_back_even_after_a_fault():
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    before = torch.get_num_threads()
    with pytest.raises(KeyError), threads(before + 1), forked_generators(CPU):
        seed_generators(CPU, 5)
        assert torch.get_num_threads() == before + 1
        assert torch.rand(1).item() == torch.rand(1, generator=torch.Generator().manual_seed(5)).item()
        raise KeyError
    assert torch.equal(torch.rand(2), expected)
    assert torch.get_num_threads() == before


@pytest.mark.parametrize(
    ("name", "found", "processes", "words"),
    [
        ("cuda:1", 2, 2, "device: cuda:1 is one device, and here are 2 processes; give auto, cuda or cpu"),
        ("mps", 0, 2, "device: mps is one device"),
        ("auto", 2, 3, "has 2 CUDA device\\(s\\) here for 3 processes; start 2 \\(torchrun --nproc-per-node 2\\)"),
    ],
)
def test_a_device_that_several_processes_cannot_have_is_refused(monkeypatch, name, found, processes, words):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: found > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: found)
    with pytest.raises(SettingsError, match=words):
        choose_device(name, 0, processes)


def test_each_process_has_a_cuda_device_of_its_own_and_all_share_the_cpu(monkeypatch):
    assert choose_device("cpu", 1, 2) == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert [choose_device(name, rank, 2).index for name in ("auto", "cuda") for rank in (0, 1)] == [0, 1, 0, 1]
