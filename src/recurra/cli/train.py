"""`recurra train TASK`: train a model and write its run folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Group, Parameter

from recurra.cli.configuration import ConfigFile, fill_from_file, task_of
from recurra.cli.processes import speaks
from recurra.cli.show import facts, print_text, table
from recurra.errors import SettingsError
from recurra.settings.groups import DataSettings, ModelSettings, TextSettings, TrainingSettings
from recurra.settings.language import (
    CorpusSettings,
    LanguageLayersSettings,
    LanguageOptions,
    LanguageTrainingSettings,
    SymbolSettings,
)
from recurra.settings.names import TASKS, Progress, TaskName, check_task, did_you_mean
from recurra.settings.tagging import TaggedSettings, TaggerSettings, TagOptions, TagTrainingSettings, TokenSettings
from recurra.settings.tasks import (
    ClassifyOptions,
    ClassifySettings,
    LanguageSettings,
    RegressOptions,
    RegressSettings,
    TagSettings,
    TaskSettings,
    TranslateSettings,
)
from recurra.settings.translation import (
    PairsSettings,
    PairSymbolSettings,
    TranslateOptions,
    TranslateTrainingSettings,
    TranslatorSettings,
)
from recurra.standing import baseline_names, beside, not_beaten

if TYPE_CHECKING:
    from recurra.run import Run

EXAMPLES: dict[str, str] = {
    "classify": "--data reviews.csv",
    "regress": "--data prices.csv",
    "tag": "--data train.conllu",
    "model": "--data book.txt",
    "translate": "--source train.en --target train.fr",
}

train_app = App(
    name="train", help="Train a model: `recurra train TASK -h` lists the options of a task.", config=fill_from_file
)


def _flat(title: str, order: int) -> Parameter:
    """The fields of a settings group as options of their own, under one heading of the help."""
    return Parameter(
        name="*",
        group=Group(title, sort_key=order),
        negative_iterable=(),
        show_default=lambda value: None if value is None or value in ((), "") else str(value),
    )


OutFolder = Annotated[
    Path | None, Parameter(help="Run folder to write. Default: runs/TASK-DATE.", negative_iterable=())
]
ProgressKind = Annotated[
    Progress, Parameter(help="How training shows itself, on standard error: auto is a bar in a terminal, else lines.")
]


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """What is no setting of a run: where it goes and what is seen of it."""

    config: ConfigFile = None
    out: OutFolder = None
    overwrite: Annotated[bool, Parameter(help="Replace the run folder if it exists.", negative="")] = False
    dry_run: Annotated[
        bool,
        Parameter(help="Read all the data, take a few steps, say what training would cost, keep nothing.", negative=""),
    ] = False
    progress: ProgressKind = "auto"


@train_app.command
def classify(
    *,
    data: Annotated[DataSettings, _flat("Data", 2)] = DataSettings(),
    text: Annotated[TextSettings, _flat("Text", 3)] = TextSettings(),
    model: Annotated[ModelSettings, _flat("Model", 4)] = ModelSettings(),
    training: Annotated[TrainingSettings, _flat("Training", 5)] = TrainingSettings(),
    options: Annotated[ClassifyOptions, _flat("Classification", 6)] = ClassifyOptions(),
    run: Annotated[RunOptions, _flat("Run", 1)] = RunOptions(),
) -> None:
    """Classify sequences: texts, series of numbers or vectors, single vectors; one label a row or several."""
    settings = ClassifySettings(data=data, text=text, model=model, training=training, classify=options)
    _train("classify", settings, run)


@train_app.command
def regress(
    *,
    data: Annotated[DataSettings, _flat("Data", 2)] = DataSettings(),
    text: Annotated[TextSettings, _flat("Text", 3)] = TextSettings(),
    model: Annotated[ModelSettings, _flat("Model", 4)] = ModelSettings(),
    training: Annotated[TrainingSettings, _flat("Training", 5)] = TrainingSettings(),
    options: Annotated[RegressOptions, _flat("Regression", 6)] = RegressOptions(),
    run: Annotated[RunOptions, _flat("Run", 1)] = RunOptions(),
) -> None:
    """Answer a number for each sequence: texts, series of numbers or vectors, single vectors."""
    settings = RegressSettings(data=data, text=text, model=model, training=training, regress=options)
    _train("regress", settings, run)


@train_app.command
def tag(
    *,
    data: Annotated[TaggedSettings, _flat("Data", 2)] = TaggedSettings(),
    tokens: Annotated[TokenSettings, _flat("Tokens", 3)] = TokenSettings(),
    model: Annotated[TaggerSettings, _flat("Model", 4)] = TaggerSettings(),
    training: Annotated[TagTrainingSettings, _flat("Training", 5)] = TagTrainingSettings(),
    options: Annotated[TagOptions, _flat("Tagging", 6)] = TagOptions(),
    run: Annotated[RunOptions, _flat("Run", 1)] = RunOptions(),
) -> None:
    """Tag tokens: parts of speech, names, any tag for each token of a sentence."""
    settings = TagSettings(data=data, tokens=tokens, model=model, training=training, tag=options)
    _train("tag", settings, run)


@train_app.command
def model(
    *,
    data: Annotated[CorpusSettings, _flat("Data", 2)] = CorpusSettings(),
    text: Annotated[SymbolSettings, _flat("Text", 3)] = SymbolSettings(),
    model: Annotated[LanguageLayersSettings, _flat("Model", 4)] = LanguageLayersSettings(),
    training: Annotated[LanguageTrainingSettings, _flat("Training", 5)] = LanguageTrainingSettings(),
    options: Annotated[LanguageOptions, _flat("Language model", 6)] = LanguageOptions(),
    run: Annotated[RunOptions, _flat("Run", 1)] = RunOptions(),
) -> None:
    """Model a language: the next character, byte, subword or word of plain text."""
    settings = LanguageSettings(data=data, text=text, model=model, training=training, language=options)
    _train("model", settings, run)


@train_app.command
def translate(
    *,
    data: Annotated[PairsSettings, _flat("Data", 2)] = PairsSettings(),
    text: Annotated[PairSymbolSettings, _flat("Text", 3)] = PairSymbolSettings(),
    model: Annotated[TranslatorSettings, _flat("Model", 4)] = TranslatorSettings(),
    training: Annotated[TranslateTrainingSettings, _flat("Training", 5)] = TranslateTrainingSettings(),
    options: Annotated[TranslateOptions, _flat("Translation", 6)] = TranslateOptions(),
    run: Annotated[RunOptions, _flat("Run", 1)] = RunOptions(),
) -> None:
    """Translate texts: a text in, a text out, as in translations, summaries and replies."""
    settings = TranslateSettings(data=data, text=text, model=model, training=training, translate=options)
    _train("translate", settings, run)


@train_app.default
def resume(
    *unknown: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
    resume: Annotated[Path | None, Parameter(help="Run folder whose training goes on where it stopped.")] = None,
    progress: ProgressKind = "auto",
) -> None:
    """Train a model: `recurra train TASK -h` lists the options of a task; --resume goes on with a run."""
    if task := task_of(unknown):
        again = [task, *unknown, "--progress", progress]
        train_app(again, exit_on_error=False, print_error=False, result_action="return_value")
        return
    if unknown and not unknown[0].startswith("-"):
        check_task(unknown[0])
    if unknown:
        known = ("--resume", "--progress")
        raise SettingsError(
            f"{unknown[0]} is no option of `recurra train` before the task's name; {did_you_mean(unknown[0], known)}; "
            f"a task's options follow it: recurra train {TASKS[0]} {unknown[0]} …"
        )
    if resume is None:
        raise SettingsError(f"name a task ({', '.join(TASKS)}), or a run to go on with: recurra train --resume RUN")

    from recurra import api

    _finish(api.resume(resume, progress=progress))


def _train(task: TaskName, settings: TaskSettings, run: RunOptions) -> None:
    settings.check()
    if not settings.data.names_data and run.config is None:
        named = " and ".join(word for word in EXAMPLES[task].split() if word.startswith("--"))
        raise SettingsError(f"there is no data; give a file with {named}, as in: recurra train {task} {EXAMPLES[task]}")

    from recurra import api

    if run.dry_run:
        tried = api.try_settings(task, settings, config=run.config, out=run.out, overwrite=run.overwrite)
        print_text(facts(tried.to_dict()))
        return
    _finish(
        api.train_settings(
            task, settings, config=run.config, out=run.out, overwrite=run.overwrite, progress=run.progress
        )
    )


def _finish(run: Run) -> None:
    """The test metrics beside those of validation, and the folder on the last line."""
    if not speaks():
        return
    result = run.result
    measured = [name for name in result if f"valid_{name}" in result]
    rows = [[name, result[f"valid_{name}"], *values] for name, *values in beside(result, measured)]
    print(table(["metric", "valid", "test", *(f"{name}, test" for name in baseline_names(result))], rows))
    if sentence := not_beaten(result, result["metric"]):
        print_text(sentence)
    print()
    print_text(str(run.path))
