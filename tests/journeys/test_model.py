"""The way of a user of language models through the command line."""

from __future__ import annotations

import gzip
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.journeys.test_classify import recurra

LINES = ["the cat sat on the mat", "a dog ate the cat's hat", "été at the 3 cats: sat, ate."]
TEXT = "\n".join(LINES * 30) + "\n"
QUICK = (
    "--hidden-size", "16", "--cell", "gru", "--batch-size", "4", "--bptt-length", "16", "--epochs", "2", "--lr", "0.02",
    "--progress", "none",
)  # fmt: skip
PROGRAM = [sys.executable, "-c", "import sys; from recurra.cli.main import main; sys.exit(main())"]
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1"}


def answers(out: str) -> list[dict[str, object]]:
    """The JSON objects of an output, one a line."""
    return [json.loads(line) for line in out.splitlines()]


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("text") / "book.txt"
    path.write_text(TEXT, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def run(text: Path) -> Path:
    """A trained run."""
    folder = text.parent / "run"
    done = recurra("train", "model", "--data", text, "--out", folder, *QUICK)
    assert (done.status, done.err) == (0, "")
    assert done.out.splitlines()[-1] == str(folder)
    assert "bits_per_character" in done.out and "ngram, test" in done.out
    return folder


def test_evaluate_says_the_metrics_of_the_run_beside_the_n_grams(run: Path, tmp_path: Path) -> None:
    found = json.loads(recurra("evaluate", run, "--json").out)
    result = json.loads((run / "result.json").read_text())
    for name in ("loss", "perplexity", "bits_per_character", "baseline_ngram_loss"):
        assert found[name] == pytest.approx(result[name], rel=1e-6)
    table = recurra("evaluate", run).out
    assert re.search(r"^perplexity +[\d.]+ +[\d.]+$", table, re.MULTILINE) and f"{found['symbols']:,} symbols" in table
    (tmp_path / "other.txt").write_text("a dog sat\n")
    assert json.loads(recurra("evaluate", run, "--data", tmp_path / "other.txt", "--json").out)["symbols"] == 10


def test_each_line_is_predicted_whatever_is_in_it(run: Path, tmp_path: Path) -> None:
    content = "the ca\n\nthe Ω\nlast"
    (tmp_path / "in.txt").write_text(content, encoding="utf-8")
    from_input, from_file = recurra("predict", run, stdin=content), recurra("predict", run, tmp_path / "in.txt")
    assert (from_input.status, from_input.err) == (0, "")
    assert from_file == from_input
    first, empty, strange, last = answers(from_input.out)
    assert len(first["next"]) == len(empty["next"]) == 5  # type: ignore[arg-type]
    assert first["perplexity"] == pytest.approx(2.718281828 ** first["loss"], rel=1e-5)  # type: ignore[operator]
    assert (empty["loss"], empty["perplexity"]) == (None, None)
    assert strange["unseen"] == ["Ω"] and last["unseen"] == ["l"] and "unseen" not in first
    rows = recurra("predict", run, "--from", "jsonl", stdin='{"text": "the ca"}\n7\n{"words": "a"}\n"the ca"\n')
    assert rows.status == 1
    one, number, nothing, same = answers(rows.out)
    assert one == same == first and list(number) == list(nothing) == ["error"]


def test_generate_prints_the_prompt_and_as_many_symbols_as_asked(run: Path) -> None:
    done = recurra("generate", run, "--prompt", "the ", "--length", "20")
    assert (done.status, done.err) == (0, "")
    assert done.out.startswith("the ") and len(done.out) == 4 + 20 + 1
    assert recurra("generate", run, "--prompt", "the ", "--length", "20").out == done.out
    assert recurra("generate", run, "--prompt", "the ", "--length", "20", "--seed", "1").out != done.out
    assert len(recurra("generate", run, "--length", "7").out) == 7 + 1
    assert recurra("generate", run, "--prompt", "the ", "--length", "0").out == "the \n"
    careful = recurra("generate", run, "--temperature", "0", "--length", "30").out
    for options in (["--top-k", "1"], ["--top-p", "1e-9"], ["--temperature", "1e-6", "--seed", "5"]):
        assert recurra("generate", run, *options, "--length", "30").out == careful
    free = recurra("generate", run, "--temperature", "1", "--top-k", "4", "--top-p", "0.9", "--length", "30").out
    assert len(free) == 31 and set(free) <= set(TEXT)


def test_generate_gives_several_texts_and_json(run: Path) -> None:
    done = recurra("generate", run, "--prompt", "a ", "--count", "2", "--json", "--length", "12")
    first, second = answers(done.out)
    assert first["prompt"] == second["prompt"] == "a " and first["text"] != second["text"]
    assert len(str(first["text"])) == len(str(second["text"])) == 12
    plain = recurra("generate", run, "--prompt", "a ", "--count", "2", "--length", "12").out
    assert plain == f"a {first['text']}\n\na {second['text']}\n"


def test_a_prompt_with_symbols_never_seen_says_so_and_is_gone_on_from(run: Path) -> None:
    done = recurra("generate", run, "--prompt", "ΩtheΨΩ", "--length", "5")
    assert done.status == 0 and done.out.startswith("ΩtheΨΩ") and len(done.out) == 6 + 5 + 1
    assert done.err == (
        "recurra: the prompt holds symbols never seen in training, which are read as unknown: 'Ω', 'Ψ'\n"
    )


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--temperature -1", "temperature: -1.0 is not a number of 0 or more; 0 takes the likeliest symbol"),
        ("--temperature nan", "temperature: nan is not a number of 0 or more"),
        ("--top-p 0", "top_p: 0.0 is not in (0, 1]"),
        ("--top-p 1.5", "top_p: 1.5 is not in (0, 1]"),
        ("--top-k -1", "top_k: -1 is below 0"),
        ("--length -1", "length: -1 is below 0"),
        ("--count 0", "count: 0 is below 1"),
        ("--temprature 1", "--temperature"),
    ],
)
def test_what_is_no_way_to_sample_is_one_sentence_and_status_2(run: Path, options: str, words: str) -> None:
    done = recurra("generate", run, "--prompt", "the", *options.split())
    assert (done.status, done.out, done.err.count("\n")) == (2, "", 1), done.err
    assert done.err.startswith("recurra: ") and words in done.err


def test_generate_refuses_a_run_of_another_task(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,label\n" + "a good film,yes\na bad film,no\n" * 20)
    small = ("--epochs", "1", "--hidden-size", "4", "--embedding-size", "4", "--progress", "none")
    assert recurra("train", "classify", "--data", tmp_path / "a.csv", "--out", tmp_path / "run", *small).status == 0
    done = recurra("generate", tmp_path / "run", "--prompt", "a")
    assert (done.status, done.out) == (2, "")
    assert done.err == f"recurra: {tmp_path / 'run'} is a classify run; generate takes a run of model or translate\n"


def test_info_runs_and_the_card_know_a_language_model(run: Path) -> None:
    told = json.loads(recurra("info", run, "--json").out)
    assert (told["task"], told["unit"], told["cell"]) == ("model", "char", "gru")
    (row,) = answers(recurra("runs", run, "--json").out.strip("[]\n"))
    assert row["task"] == "model"
    card = (run / "README.md").read_text()
    result = json.loads((run / "result.json").read_text())
    for name in ("loss", "perplexity", "bits_per_character"):
        assert f"| `{name}` | {result[name]:.4f} |" in card
    assert "recurra generate run --prompt" in card and "pipeline_tag: text-generation" in card


def test_the_configuration_repeats_the_run_to_the_bit(run: Path, text: Path, tmp_path: Path) -> None:
    printed = recurra("config", "model")
    assert printed.status == 0 and "bptt_length = " in printed.out
    schema = json.loads(recurra("config", "model", "--schema").out)
    assert "bptt_length" in json.dumps(schema) and "pooling" not in json.dumps(schema)
    again = recurra("train", "--config", run / "config.toml", "--out", tmp_path / "again", "--progress", "none")
    assert again.status == 0
    first, second = ((folder / "model.safetensors").read_bytes() for folder in (run, tmp_path / "again"))
    assert first == second
    (tmp_path / "settings.toml").write_text(printed.out)
    done = recurra("train", "--config", tmp_path / "settings.toml", "--data", text, "--out", tmp_path / "c", *QUICK)
    assert done.status == 0 and (tmp_path / "c" / "model.safetensors").read_bytes() == first


def test_a_dry_run_says_what_it_would_cost_and_keeps_nothing(
    text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = recurra("train", "model", "--data", text, "--dry-run", *QUICK)
    assert done.status == 0
    said = dict(line.split(": ") for line in done.out.splitlines())
    assert int(said["train_examples"]) + int(said["valid_examples"]) + int(said["test_examples"]) == len(TEXT)
    assert (said["task"], int(said["steps"])) == ("model", 2 * int(said["steps_per_epoch"]))
    assert list(tmp_path.iterdir()) == []


def test_stopped_in_mid_epoch_and_resumed_the_weights_are_those_of_a_run_never_stopped(
    text: Path, tmp_path: Path
) -> None:
    size = ("--hidden-size", "16", "--batch-size", "4", "--bptt-length", "16", "--output-dropout", "0.2")
    options = ("--data", text, *size, "--epochs", "8", "--checkpoint-every", "0.05", "--threads", "1")
    whole = recurra("train", "model", *options, "--progress", "none", "--out", tmp_path / "a")
    assert whole.status == 0
    stopped = tmp_path / "stopped"
    command = [*PROGRAM, "train", "model", *map(str, options), "--out", str(stopped)]
    process = subprocess.Popen(command, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True)
    while not list(stopped.glob("checkpoints/*.safetensors")) and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate()
    assert process.returncode == 128 + signal.SIGTERM and f"recurra train --resume {stopped}" in said
    steps = int(json.loads((tmp_path / "a" / "result.json").read_text())["steps"])
    assert max(int(path.stem.split("-")[1]) for path in stopped.glob("checkpoints/*")) < steps
    assert not (stopped / "model.safetensors").exists()
    assert recurra("train", "--resume", stopped, "--progress", "none").status == 0
    first, second = ((folder / "model.safetensors").read_bytes() for folder in (tmp_path / "a", stopped))
    assert first == second


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "a.txt: does not exist"),
        (b"", "a.txt: is empty"),
        (b"a", "a.txt: 1 character(s) are too few to train on"),
        (b"a" * 500, "the symbol 'a' 400 times, and there is nothing to predict"),
        (b"abc\nde\xff\n" * 9, "a.txt, line 2: byte 3 of the line, 7 of the file: 0xff is not utf-8 text"),
    ],
)
def test_a_text_that_cannot_be_trained_on_is_one_sentence_and_status_2(
    tmp_path: Path, content: bytes | None, words: str
) -> None:
    if content is not None:
        (tmp_path / "a.txt").write_bytes(content)
    done = recurra("train", "model", "--data", tmp_path / "a.txt", "--out", tmp_path / "run", *QUICK)
    assert (done.status, done.out, done.err.count("\n")) == (2, "", 1), done.err
    assert words in done.err
    assert not (tmp_path / "run").exists()


def test_bytes_read_what_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(bytes(range(256)) * 8)
    done = recurra("train", "model", "--data", tmp_path / "a.bin", "--unit", "byte", "--out", tmp_path / "run", *QUICK)
    assert (done.status, done.err) == (0, "")
    assert recurra("generate", tmp_path / "run", "--length", "50").status == 0
    (row,) = answers(recurra("predict", tmp_path / "run", stdin="é").out)
    assert "unseen" not in row


def test_several_files_compressed_ones_and_texts_of_their_own_for_validation_and_test(
    text: Path, tmp_path: Path
) -> None:
    (tmp_path / "more.txt.gz").write_bytes(gzip.compress(b"another cat\n" * 40))
    (tmp_path / "valid.txt").write_text("a cat\n" * 10)
    (tmp_path / "test.txt").write_text("the cat sat\n" * 5)
    files = ("--data", text, "--data", tmp_path / "more.txt.gz")
    others = ("--valid", tmp_path / "valid.txt", "--test", tmp_path / "test.txt")
    assert recurra("train", "model", *files, *others, "--out", tmp_path / "run", *QUICK).status == 0
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    sizes = [result[f"{name}_examples"] for name in ("train", "valid", "test")]
    assert sizes == [len(TEXT) + 480, 60, 60]
    assert [Path(record["path"]).name for record in result["data"]] == [
        "book.txt", "more.txt.gz", "valid.txt", "test.txt"
    ]  # fmt: skip
    assert json.loads(recurra("evaluate", tmp_path / "run", "--json").out)["symbols"] == 60
    (tmp_path / "test.txt").write_text("changed\n")
    done = recurra("evaluate", tmp_path / "run")
    assert done.status == 2 and "test.txt" in done.err and "changed" in done.err


def test_the_help_of_training_names_every_option_and_loads_no_torch() -> None:
    from recurra.settings.options import options

    program = (
        "import sys; from recurra.cli.main import main; sys.argv = ['recurra', 'train', 'model', '-h']; "
        "status = main(); sys.exit(status or 3 * ('torch' in sys.modules))"
    )
    wide = ENVIRONMENT | {"COLUMNS": "200"}
    done = subprocess.run([sys.executable, "-c", program], env=wide, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for name in options("model"):
        assert f"--{name.replace('_', '-')} " in done.stdout, name


def test_the_demonstration_gets_all_four_characters_and_a_bigram_three(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = recurra("demo", "hello", "--progress", "none")
    assert done.status == 0
    *_, page = done.out.split()
    said = re.findall(r"^(h\w*) → (\w) .* bigram (\w)$", done.out, re.MULTILINE)
    assert [(text, model) for text, model, _ in said] == [("h", "e"), ("he", "l"), ("hel", "l"), ("hell", "o")]
    assert sum("hello"[len(text)] == bigram for text, _, bigram in said) == 3
    assert Path(page).exists()


def test_info_says_what_a_plain_text_holds(text: Path, tmp_path: Path) -> None:
    found = json.loads(recurra("info", text, "--json").out)
    assert (found["kind"], found["characters"], found["lines"]) == ("plain text", len(TEXT), TEXT.count("\n"))
    assert found["different_characters"] == len(set(TEXT)) and not found["problems"]
    (tmp_path / "one.txt").write_text("aaaa")
    assert "nothing can be predicted" in recurra("info", tmp_path / "one.txt").out
    (tmp_path / "bad.txt").write_bytes(b"ab\n\xff")
    done = recurra("info", tmp_path / "bad.txt")
    assert done.status == 2 and "line 2" in done.err
