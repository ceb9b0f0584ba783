"""English to French beside JoeyNMT: the same model, pairs, tokens and steps.

    python benchmarks/joeynmt.py --joey PYTHON [bleu|training|search …] [--runs FOLDER] [--steps 1700] [--rounds 3]

PYTHON is that of an environment with joeynmt 2.3.0 (`pip install joeynmt`). Ours is the row `lstm` of translate.py,
which has to be in FOLDER (default: `runs`); the peer's runs go to FOLDER/joey and are made where they are not there.

The model of both: a bidirectional LSTM encoder, 256 features in each direction, an LSTM decoder of 256 with Luong's
general attention and no input feeding, one embedding of 256 for both sides and the output, dropout of 0.3 on
embeddings and about the attention's result, label smoothing of 0.1. The peer reads our joint BPE tokens as words from
files; since ours leaves out merges by chance (BPE dropout), its training file has every pair in as many spellings as
there are epochs. It has as many pairs a step as ours has on average. Its answers are made text by our tokenizer.

bleu: cased detokenised BLEU on the 1,000 test pairs, beam of 5, with the intervals over sentences and that of the
difference (bootstrap). training, search: short trainings, and searches for the test sources, in turn, each in a process
of its own, one thread, by the clock of the process; the figure is the median ratio. For search the peer has our
weights, as far as it has a place for them, so that both say as much.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import recurra
from recurra.data.batching import plan
from recurra.data.pairs import (
    BEGIN_ID,
    END_ID,
    PAD_ID,
    SOURCE,
    TARGET,
    UNK_ID,
    EncodedPair,
    PairFeatures,
    lengths_of,
    plan_pairs,
)
from recurra.run import Run
from recurra.settings.tasks import TranslateSettings
from recurra.settings.translation import MOST_TOKENS
from recurra.statistics import bootstrap_interval, paired_bootstrap
from recurra.tasks.translate_search import BATCH_TOKENS
from recurra.text_metrics import bleu_of, bleu_statistics, corpus_bleu
from recurra.training import loop
from translate import ROWS
from translate_plain import multi30k, multi30k_files

RESULTS = Path(__file__).parent / "results" / "joeynmt.json"
CLOCK = Path(__file__).parent / "joeynmt_clock.py"
OURS: dict[str, Any] = {**ROWS["lstm"], "patience": 0}
WHICH = ("bleu", "training", "search")
SIZE, DROPOUT, SMOOTHING, BEAM, SEED = 256, 0.3, 0.1, 5, 0
WARM, TIMED = 10, 40  # steps of a short training before the clock counts, and while it does
EVALUATIONS, LOGGED = 5, 20  # of the peer's training, and steps between lines of its log
ONE_THREAD = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
SCHEDULES: dict[str, dict[str, Any]] = {
    # the highest rate of ours, and the falling schedule that takes one
    "falling": {"learning_rate": 0.002, "scheduling": "warmupinversesquareroot", "learning_rate_warmup": 170},
    # as the package's own configurations have it for an LSTM with Luong's attention
    "plateau": {"learning_rate": 0.001, "scheduling": "plateau", "patience": 5, "decrease_factor": 0.5},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("which", nargs="*", choices=(*WHICH, *PARTS), default=list(WHICH))
    parser.add_argument("--joey", type=Path, help="Python of the environment with joeynmt")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="folder of the runs")
    parser.add_argument("--steps", type=int, default=1700, help="of the peer's training")
    parser.add_argument("--schedule", choices=SCHEDULES, default="falling", help="of the peer's training")
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    if asked.which[0] in PARTS:  # a process of its own
        print(json.dumps(PARTS[asked.which[0]](asked.runs)))
        return
    if asked.joey is None:
        sys.exit("give --joey PYTHON, that of an environment with joeynmt")
    if asked.which != ["training"] and not (asked.runs / "lstm" / "result.json").exists():
        sys.exit(f"{asked.runs} has no lstm; first train ours: python benchmarks/translate.py table --only lstm")
    peer = Peer(asked.joey, asked.runs / "joey", asked.steps)
    for one in asked.which:
        if one == "bleu":
            row = {f"bleu, {asked.schedule}": compared_bleu(peer, asked.runs, asked.schedule)}
        elif one == "training":
            row = {"training": compared_training(peer, asked.runs, asked.schedule, asked.rounds)}
        else:
            row = {"search": compared_search(peer, asked.runs, asked.rounds)}
        found: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
        found |= {"torch": torch.__version__, "threads": 1, "seed": SEED, **row}
        RESULTS.write_text(json.dumps(found, indent=1) + "\n")
        print(json.dumps(found, indent=1), flush=True)


def compared_bleu(peer: Peer, runs: Path, schedule: str) -> dict[str, Any]:
    """BLEU of both on the test pairs; the peer is trained where it is not yet."""
    run: Run = recurra.load(runs / "lstm")
    if not (peer.folder / f"{schedule}.json").exists():
        peer.run("train", peer.configured(schedule, schedule, peer.steps), peer.folder / f"{schedule}.json")
    sources, references = peer.parts.test.columns[SOURCE], peer.parts.test.columns[TARGET]
    answers = {
        "ours": [one.text for one in run.predict(list(sources))],
        "joeynmt": peer.searched(schedule, schedule)[1],
    }
    counted = {name: bleu_statistics(texts, references) for name, texts in answers.items()}
    found: dict[str, Any] = {}
    for name, texts in answers.items():
        interval = bootstrap_interval(counted[name], bleu_of, seed=SEED)
        found[name] = {"bleu": interval.mean, "low": interval.low, "high": interval.high}
        found["signature"] = corpus_bleu(texts, references)[1]
    trained = json.loads((peer.folder / f"{schedule}.json").read_text())
    found["ours"] |= {"steps": run.result["steps"], "parameters": run.result["parameters"]}
    found["joeynmt"] |= {"steps": len(trained["steps"]), "parameters": peer.parameters, **SCHEDULES[schedule]}
    found["joeynmt"]["target_tokens"] = sum(tokens for _, tokens in trained["steps"])
    difference = paired_bootstrap(counted["joeynmt"], counted["ours"], bleu_of, seed=SEED)
    return found | {"difference": [difference.mean, difference.low, difference.high]}


def compared_training(peer: Peer, runs: Path, schedule: str, rounds: int) -> dict[str, Any]:
    """Target tokens a second of training, validation apart, in turn."""
    short, report = peer.configured("short", schedule, WARM + TIMED + 1), peer.folder / "short.json"
    found: dict[str, list[float]] = {"ours": [], "joeynmt": []}
    for who in turns(rounds):
        steps = in_process("ours-train", runs) if who == "ours" else peer.run("train", short, report)["steps"]
        found[who].append(rate(steps))
        print(who, f"{found[who][-1]:.0f} target tokens a second", flush=True)
    return {"pairs a step": peer.pairs, "target tokens a second": with_ratios(found)}


def compared_search(peer: Peer, runs: Path, rounds: int) -> dict[str, Any]:
    """Sentences and target tokens a second of answering the test sources with a beam of 5, in turn, by our weights."""
    peer.take(recurra.load(runs / "lstm").model.state_dict())
    references = peer.parts.test.columns[TARGET]
    bleu: dict[str, float] = {}
    sentences: dict[str, list[float]] = {"ours": [], "joeynmt": []}
    tokens: dict[str, list[float]] = {"ours": [], "joeynmt": []}
    for who in turns(rounds):
        seconds, answers = in_process("ours-search", runs) if who == "ours" else peer.searched("given", "falling")
        bleu[who] = bleu_of(bleu_statistics(answers, references))
        sentences[who].append(len(answers) / seconds)
        tokens[who].append(sum(map(peer.tokens, answers)) / seconds)
        print(who, f"{sentences[who][-1]:.1f} sentences, {tokens[who][-1]:.0f} tokens a second", flush=True)
    return {
        "sentences a batch": peer.answered,
        "bleu": bleu,
        "sentences a second": with_ratios(sentences),
        "target tokens a second": with_ratios(tokens),
    }


def turns(rounds: int) -> list[str]:
    """Who is measured, one after the other."""
    return [who for number in range(rounds) for who in (("joeynmt", "ours") if number % 2 else ("ours", "joeynmt"))]


def with_ratios(found: dict[str, list[float]]) -> dict[str, list[float]]:
    """Of each round, by how much ours is quicker."""
    return {**found, "ratios": [own / other for own, other in zip(found["ours"], found["joeynmt"], strict=True)]}


def rate(steps: Sequence[Sequence[float]]) -> float:
    """Tokens a second of (second at which a step begins, its tokens), the first ones left out."""
    (first, _), *_, (last, _) = steps[WARM:]
    return sum(tokens for _, tokens in steps[WARM:-1]) / (last - first)


def in_process(part: str, runs: Path) -> Any:
    """What a part of ours finds in a process of its own."""
    command = [sys.executable, __file__, part, "--runs", str(runs)]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, env=ONE_THREAD).stdout)


def train_ours(runs: Path) -> list[tuple[float, int]]:
    """When each step of a short training began, and its target tokens."""
    steps: list[tuple[float, int]] = []
    take = loop.take_step

    def noted(*args: Any, **options: Any) -> Any:
        began = time.process_time()
        if len(steps) == WARM + TIMED:
            steps.append((began, 0))
            raise Enough
        record = take(*args, **options)
        steps.append((began, record.tokens))
        return record

    loop.take_step = noted
    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(Enough):
        recurra.train(
            "translate", out=Path(folder) / "short", seed=SEED, threads=1, progress="none", **multi30k_files(), **OURS
        )
    return steps


class Enough(BaseException):
    """Ends a training before its first evaluation."""


def search_ours(runs: Path) -> tuple[float, list[str]]:
    """Seconds of answering the test sources, and the answers."""
    run: Run = recurra.load(runs / "lstm")
    sources = list(multi30k().test.columns[SOURCE])
    began = time.process_time()
    answers = [one.text for one in run.predict(sources)]
    return time.process_time() - began, answers


PARTS: dict[str, Callable[[Path], Any]] = {"ours-train": train_ours, "ours-search": search_ours}


class Peer:
    """JoeyNMT in its own environment, with the files it reads.

    Args:
        python: of that environment.
        folder: of files and runs.
        steps: of the whole training.
    """

    def __init__(self, python: Path, folder: Path, steps: int) -> None:
        self.python, self.folder, self.steps, self.parameters = python, folder, steps, 0
        self.parts = multi30k()
        self.features = PairFeatures.fit(self.parts.train, TranslateSettings().text)
        self.dropouts = self.features.dropouts(TranslateSettings().text.bpe_dropout, SEED)
        lengths, rng = lengths_of(self.spelled(0)), np.random.default_rng(SEED)
        batches = plan_pairs(lengths, batch_size=0, batch_tokens=MOST_TOKENS, rng=rng)
        self.pairs = round(len(lengths) / len(batches))
        sources = [source for source, _ in lengths_of(self.features.encode_table(self.parts.test))]
        batches = plan(sources, batch_size=0, batch_tokens=BATCH_TOKENS // BEAM, rng=None)
        self.answered = round(len(sources) / len(batches))
        if not (folder / "vocabulary.txt").exists():
            self.write()

    def write(self) -> None:
        """The pairs as lines of ids, in our spelling."""
        self.folder.mkdir(parents=True, exist_ok=True)
        epochs = range(-(-self.steps * self.pairs // len(self.parts.train)))
        pairs = {
            "train": [pair for epoch in epochs for pair in self.spelled(epoch)],
            "valid": self.features.encode_table(self.parts.valid),
            "test": self.features.encode_table(self.parts.test),
        }
        for name, rows in pairs.items():
            for side, suffix in ((0, "en"), (1, "fr")):
                lines = (" ".join(str(i) for i in row[side] if i != END_ID) for row in rows)
                (self.folder / f"{name}.{suffix}").write_text("".join(f"{line}\n" for line in lines))
        words = (str(i) for i in range(END_ID + 1, len(self.features.target)))
        (self.folder / "vocabulary.txt").write_text("".join(f"{word}\n" for word in words))

    def spelled(self, epoch: int) -> list[EncodedPair]:
        """The training pairs, merges left out by chance."""
        rng = np.random.default_rng((SEED, epoch))
        return self.features.encode_table_varied(self.parts.train, rng, self.dropouts)

    def run(self, what: str, config: Path, report: Path, *answers: str) -> Any:
        """Let it train or test, and read what its clock has noted."""
        command = [str(self.python), "-P", str(CLOCK), what, str(config), str(report), *answers]
        with (self.folder / f"{config.stem}.{what}.log").open("w") as log:
            subprocess.run(command, check=True, stdout=log, stderr=log, env=ONE_THREAD)
        return json.loads(report.read_text())

    def take(self, ours: dict[str, Tensor]) -> None:
        """Make a run of it, `given`, of our weights.

        It has no bias of the output, and its decoder's cell begins as the hidden state does: there they differ.
        """
        embedding = ours["encoder.embedding.weight"][[UNK_ID, PAD_ID, *range(BEGIN_ID, len(self.features.target))]]
        weights = {
            "src_embed.lut.weight": embedding,
            "trg_embed.lut.weight": embedding,
            "decoder.output_layer.weight": embedding,
            "decoder.attention.key_layer.weight": ours["decoder.body.attention.key.weight"],
            # the context stands before the decoder's output in ours, and after it there
            "decoder.att_vector_layer.weight": ours["decoder.body.combine.weight"].roll(SIZE, 1),
            "decoder.att_vector_layer.bias": ours["decoder.body.combine.bias"],
            "decoder.bridge_layer.weight": ours["bridge.maps.0.weight"],
            "decoder.bridge_layer.bias": ours["bridge.maps.0.bias"],
        }
        for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
            weights[f"decoder.rnn.{kind}_l0"] = ours[f"decoder.body.layers.layers.0.0.cell.{kind}"]
            for number, direction in enumerate(("", "_reverse")):
                weights[f"encoder.rnn.{kind}_l0{direction}"] = ours[f"encoder.layers.layers.0.{number}.cell.{kind}"]
        (self.folder / "given").mkdir(exist_ok=True)
        torch.save({"model_state": weights}, self.folder / "given" / "best.ckpt")

    def searched(self, name: str, schedule: str) -> tuple[float, list[str]]:
        """Seconds of answering the test sources with the best weights of a run, and the answers."""
        config = self.configured(name, schedule, self.steps)
        found = self.run("test", config, self.folder / f"{name}.test.json", str(self.folder / name / "answers"))
        lines = (self.folder / name / "answers.test").read_text().splitlines()
        answers = [self.features.answer([int(word) for word in line.split() if word.isdigit()]) for line in lines]
        self.parameters = found["parameters"]
        return found["searches"][-1], answers

    def tokens(self, answer: str) -> int:
        """Of a text, its end among them."""
        return len(self.features.target.encode(answer))

    def configured(self, name: str, schedule: str, steps: int) -> Path:
        """A configuration file; JSON is YAML."""
        side = {"level": "word", "voc_file": str(self.folder / "vocabulary.txt")}
        embeddings = {"embedding_dim": SIZE, "scale": False, "dropout": DROPOUT}
        layers = {"type": "recurrent", "rnn_type": "lstm", "hidden_size": SIZE, "num_layers": 1}
        layers = {**layers, "embeddings": embeddings}
        every = self.steps // EVALUATIONS // LOGGED * LOGGED
        config = {
            "name": name,
            "joeynmt_version": "2.3.0",
            "model_dir": str(self.folder / name),
            "use_cuda": False,
            "random_seed": SEED,
            "data": {
                "train": str(self.folder / "train"),
                "dev": str(self.folder / "valid"),
                "test": str(self.folder / "test"),
                "dataset_type": "plain",
                "src": {"lang": "en", **side},
                "trg": {"lang": "fr", **side},
            },
            "training": {
                **SCHEDULES[schedule],
                "optimizer": "adam",
                "learning_rate_min": 0.0,
                "clip_grad_norm": 1.0,
                "normalization": "tokens",
                "label_smoothing": SMOOTHING,
                "batch_type": "sentence",
                "batch_size": self.pairs,
                "epochs": 100,
                "updates": steps,
                "validation_freq": every,
                "logging_freq": LOGGED,
                "early_stopping_metric": "bleu",
                "keep_best_ckpts": 1,
                "print_valid_sents": [],
                "overwrite": True,
            },
            "testing": {
                "beam_size": BEAM,
                "beam_alpha": 1.0,
                "batch_type": "sentence",
                "batch_size": self.answered,
                "eval_metrics": ["bleu"],
                "sacrebleu_cfg": {"tokenize": "none"},
            },
            "model": {
                "initializer": "xavier_uniform",
                "embed_initializer": "normal",
                "embed_init_weight": 0.1,
                "bias_initializer": "zeros",
                "tied_embeddings": True,
                "tied_softmax": True,
                "encoder": {**layers, "bidirectional": True},
                "decoder": {
                    **layers,
                    "attention": "luong",
                    "input_feeding": False,
                    "init_hidden": "bridge",
                    "hidden_dropout": DROPOUT,
                },
            },
        }
        path = self.folder / f"{name}.yaml"
        path.write_text(json.dumps(config, indent=1))
        return path


if __name__ == "__main__":
    main()
