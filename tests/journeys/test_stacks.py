"""Transformer, dilated and mixed stacks through the command line: in every task, kept in the run, used from it."""

from __future__ import annotations

import json
import random
import tomllib
from itertools import product
from pathlib import Path

import pytest

import recurra as package

from .test_classify import recurra

SMALL = ("--epochs", "3", "--hidden-size", "8", "--embedding-size", "8", "--lr", "0.03", "--progress", "none")


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """90 texts with a label that one word tells, and how often it stands there as a number."""
    choose = random.Random(0)
    path = tmp_path_factory.mktemp("data") / "rows.csv"
    lines = ["text,label,count"]
    for row in range(90):
        word, times = "good" if row % 2 else "bad", choose.randint(1, 3)
        words = choose.choices(["the", "film", "was"], k=choose.randint(1, 5)) + [word] * times
        choose.shuffle(words)
        lines.append(f"{' '.join(words)},{word},{times}")
    path.write_text("\n".join(lines) + "\n")
    return path


STACKS = {
    "a transformer": ("--cell", "transformer", "--attention-window", "4"),
    "a transformer both ways": ("--cell", "transformer", "--bidirectional", "--pooling", "attention"),
    "a mixed stack": ("--cell", "lstm,transformer", "--pooling", "max+mean"),
    "a mixed stack both ways": ("--cell", "transformer,gru", "--bidirectional"),
    "dilated layers": ("--cell", "gru", "--num-layers", "3", "--dilation", "1,2,4", "--zoneout", "0.1"),
}


@pytest.mark.parametrize(
    ("task", "stack"),
    [*product(["classify"], STACKS), ("regress", "a transformer both ways"), ("regress", "dilated layers")],
)
def test_a_run_trains_is_kept_and_answers(task: str, stack: str, rows: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    target = "label" if task == "classify" else "count"
    columns = ("--data", rows, "--input", "text", "--target", target)
    done = recurra("train", task, *columns, "--out", folder, *SMALL, *STACKS[stack])
    assert (done.status, done.err) == (0, "")
    assert done.out.splitlines()[-1] == str(folder)
    model = tomllib.loads((folder / "config.toml").read_text())["model"]
    given = dict(zip(STACKS[stack][::2], STACKS[stack][1::2], strict=False))
    assert model["cell"] == given["--cell"]
    assert model["num_layers"] == (3 if "--dilation" in given else given["--cell"].count(",") + 1)
    assert model["dilation"] == given.get("--dilation", "1")
    assert model.get("attention_window") == (4 if "--attention-window" in given else None)
    answers = [json.loads(line) for line in recurra("predict", folder, stdin="the good film\nbad\n\n").out.splitlines()]
    assert len(answers) == 3 and not any("error" in answer for answer in answers)
    alone = json.loads(recurra("predict", folder, stdin="bad\n").out)  # whatever stands beside it in the batch
    for name, value in alone.items():
        assert answers[1][name] == pytest.approx(value, abs=1e-5)
    assert recurra("evaluate", folder).status == 0


def test_a_language_model_trains_on_a_mixed_dilated_stack(tmp_path: Path) -> None:
    text, folder = tmp_path / "text.txt", tmp_path / "run"
    text.write_text("hello world, hello there. " * 60)
    stack = ("--cell", "gru,transformer", "--dilation", "2,1", "--attention-window", "8")
    sizes = ("--hidden-size", "8", "--embedding-size", "8", "--batch-size", "4", "--bptt-length", "16", "--epochs", "1")
    done = recurra("train", "model", "--data", text, "--out", folder, *stack, *sizes, "--progress", "none")
    assert (done.status, done.err) == (0, "")
    made = recurra("generate", folder, "--prompt", "hel", "--length", "5", "--seed", "1")
    assert made.status == 0 and made.out.startswith("hel")


@pytest.mark.parametrize("stack", [("--cell", "lstm,transformer,gru"), ("--cell", "transformer", "--no-bidirectional")])
def test_a_tagger_trains_on_a_mixed_stack(stack: tuple[str, ...], tmp_path: Path) -> None:
    file, folder = tmp_path / "sentences.jsonl", tmp_path / "run"
    sentences = [("a film ends", "DET NOUN VERB"), ("the fine film", "DET ADJ NOUN"), ("it ends", "PRON VERB")] * 10
    lines = [json.dumps({"tokens": tokens.split(), "tags": tags.split()}) for tokens, tags in sentences]
    file.write_text("\n".join(lines) + "\n")
    sizes = ("--hidden-size", "8", "--embedding-size", "8", "--char-hidden-size", "4", "--epochs", "1")
    done = recurra("train", "tag", "--data", file, "--out", folder, *stack, *sizes, "--progress", "none")
    assert (done.status, done.err) == (0, "")
    model = tomllib.loads((folder / "config.toml").read_text())["model"]
    assert model["num_layers"] == (3 if "," in stack[1] else 2)
    assert recurra("predict", folder, stdin="a fine film\n").status == 0


def test_from_python_the_layers_may_be_lists(rows: Path, tmp_path: Path) -> None:
    run = package.train(
        "classify", data=rows, input="text", target="label", out=tmp_path / "run", cell=["lstm", "transformer"],
        dilation=(3, 1), epochs=1, hidden_size=8, embedding_size=8, progress="none",
    )  # fmt: skip
    model = package.load(run.path).settings.model
    assert (model.cell, model.dilation, model.num_layers) == ("lstm,transformer", "3,1", 2)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--cell", "lstm,gru,rnn", "--num-layers", "2"), "num_layers: it is 2, and cell names 3 layers"),
        (("--cell", "lstm,gru", "--num-layers", "3"), "num_layers: it is 3, and cell names 2 layers"),
        (("--cell", "lstm,transfomer"), "cell: 'transfomer' is not known; did you mean 'transformer'?"),
        (("--dilation", "1,2"), "dilation: there are 2 of them and 1 layer"),
        (("--dilation", "0"), "dilation: 0 is not in 1 to 65536"),
        (("--dilation", "-1"), "dilation"),
        (("--dilation", "one"), "dilation: 'one' is neither a whole number nor one for each layer"),
        (("--cell", "feedforward", "--dilation", "2"), "dilation: not for FeedforwardCell"),
        (("--attention-window", "9"), "attention_window: it is the memory of the cell transformer"),
        (("--cell", "transformer", "--attention-window", "0"), "attention_window: 0 is not in 1 to 65536"),
        (("--cell", "transformer", "--attention-window", "9", "--bidirectional"), "attends to every step"),
        (("--cell", "lstm,transformer", "--bidirectional", "--residual"), "residual: in both directions"),
        (("--cell", "transformer", "--zoneout", "0.1"), "zoneout: not for TransformerCell"),
    ],
)
def test_a_stack_that_cannot_be_is_refused(options: tuple[str, ...], sentence: str, rows: Path, tmp_path: Path) -> None:
    columns = ("--data", rows, "--input", "text", "--target", "label", "--out", tmp_path / "run")
    done = recurra("train", "classify", *columns, *options, "--progress", "none")
    assert done.status == 2 and sentence in done.err
