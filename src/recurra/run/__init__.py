"""The run folder: a trained model and everything to use it, saved and loaded.

`manifest.json` binds the SHA-256 of every file that decides an answer. A folder without it is a training that has not
ended; one whose files are not those of the manifest is refused by name. Nothing in a run is a pickle.
"""

from recurra.run.files import DECISIVE
from recurra.run.kinds import make_run
from recurra.run.language_run import LanguageRun
from recurra.run.loading import decisive_files, load_beginning, load_run
from recurra.run.plain import load_baselines, save_baselines, take_baselines
from recurra.run.run import Run
from recurra.run.saving import beginning_digests, save_beginning, save_end
from recurra.run.table_run import TableRun
from recurra.run.tag_run import TagRun
from recurra.run.translate_run import TranslateRun

__all__ = [
    "DECISIVE",
    "LanguageRun",
    "Run",
    "TableRun",
    "TagRun",
    "TranslateRun",
    "beginning_digests",
    "decisive_files",
    "load_baselines",
    "load_beginning",
    "load_run",
    "make_run",
    "save_baselines",
    "save_beginning",
    "save_end",
    "take_baselines",
]
