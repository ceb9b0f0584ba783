"""The data files that the benchmarks expect, by name and SHA-256, and where they are looked for.

They are not part of this repository. Put them in one folder, laid out as the names below say, and name it in
RECURRA_DATA (default: `../shared/data` beside the checkout). Sources: SST-2 sentences from
github.com/clairett/pytorch-sentiment-classification (data/SST2), Banking77 from
github.com/PolyAI-LDN/task-specific-datasets (banking_data), the English Web Treebank from
github.com/UniversalDependencies/UD_English-EWT (commit 15d613d8447b, its files compressed), names from
github.com/spro/practical-pytorch (data/names; about nine tenths of its lines), Multi30k from
github.com/multi30k/dataset (commit a3d2e0d26b56, data/task1/raw), Tatoeba's pairs from github.com/genimind/seq2seq
(commit 4f3f8eb0adde, fra-eng.zip, split so that no sentence is on two sides), tiny_shakespeare from
github.com/karpathy/char-rnn (data/tinyshakespeare), and the validation split of WikiText-2 from
github.com/pytorch/examples (word_language_model/data/wikitext-2), compressed; Japanese Vowels from
github.com/sktime/sktime (commit 7bd7d1620c06, sktime/datasets/data/JapaneseVowels).
"""

from __future__ import annotations

import csv
import hashlib
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

from recurra.randomness import numpy_generator

FILES = {
    "JapaneseVowels/JapaneseVowels_TRAIN.ts": "68a430eabd919cc77f40b1f5f3bc0dcafacc1486bca9260785aeb7d262cc78cd",
    "JapaneseVowels/JapaneseVowels_TEST.ts": "b3d41d6a0ca3bcad3afb9ca7d4365382aa51341e2e58bae2a574babdda5b9462",
    "multi30k_en_fr/train.en.gz": "d79cfa999dd4c51d2cb42499b6796d5a882c3a8a961923c25a898c90f8bbd56f",
    "multi30k_en_fr/train.fr.gz": "622e75069e9f4c577425c4f277116ce66e63a2401c0a2312d90073cb12379a3c",
    "multi30k_en_fr/val.en.gz": "14f7d25ddd868909a9213e361768460edcacdd6ab9d1e77b92560dc10c10dc28",
    "multi30k_en_fr/val.fr.gz": "ca3106f1a72390591d25f6c45cb4cd39dec4cd3f123e099748a3ce5256c160e9",
    "multi30k_en_fr/test_2016_flickr.en.gz": "611d361c6334bc7246101d48097c13cf5c4413c5befc793cc629934359d532d9",
    "multi30k_en_fr/test_2016_flickr.fr.gz": "6d326e188d259fb1d04ac19eae3af956559b3a0b93d7635e56c90987c40c8b90",
    "tatoeba_en_fr/train.tsv.gz": "2fc9e8fb8a6086ecc6fbee81e4cd4563ea98a98b91aceb9e8e7324d13a7dea40",
    "tatoeba_en_fr/valid.tsv.gz": "ea54951ce748d627dda2559819f4162018d21998802eae1164a1eb6aa34d5468",
    "tatoeba_en_fr/test.tsv.gz": "cad54e52ee12a2f41820d7fa0bf921334548f6c1744d1d0d2a41f3da0509f152",
    "tiny_shakespeare/input.txt": "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
    "wikitext2/valid.txt.gz": "3cdd8cb5bb349a05840c7c3bef9578d90d64df77e27e0c25c033ba9342757ee3",
    "sst2/train.tsv": "ec192f833a64da08f475488a77b0d0b47db47acd0f458bd18433fc793b569920",
    "sst2/dev.tsv": "eddea6b39e601dd4e7a672b53cc40fdf6019fa80522f351206c24340ca5d9359",
    "sst2/test.tsv": "831169c7e2e429d6026e1bdbb542f33b636e3e596caad9602ebc953c205928b7",
    "banking77/train.csv": "b06e26ac675513959a63135f11b94ea7786ed02da65db93a5650d8838cbc664b",
    "banking77/test.csv": "d12d6e3bc4c3103966ae786dc435913c0c563dfa328f5a3646d0e62cfeeb474d",
    "ud_english_ewt/en_ewt-ud-train.conllu.gz": "4861d76b9c49cb3524dfdf7d02e78c1d6a4c4e6fb892f9e6128cc671a6f195a8",
    "ud_english_ewt/en_ewt-ud-dev.conllu.gz": "24656b4a407808e7b9e42959b2e39e18ae5580bfbf3b27938d6873dabaed8845",
    "ud_english_ewt/en_ewt-ud-test.conllu.gz": "0506bfdbccef68634d5429369e67a7d4418b2340bd2b2ddcfca8373514af83bc",
    "names/Arabic.txt": "f739023795c120f95f921b9759abeb48dba1dd1e72d6848e8bc9c701ba93f143",
    "names/Chinese.txt": "d4af36426ce9d591b2a7c2323492705965141d74d52f965e64777748a0cf6379",
    "names/Czech.txt": "bc2baad52e48ce6dcf4222e5614001fa2100bdaab7c1e9e4fb82932af73afbb9",
    "names/Dutch.txt": "a32f16a336b1058c7320fa70955fd51f4a58f9f6315d17f320a0e3758d9a5bca",
    "names/English.txt": "3eb7ab94b103d3470a6b72c9c4ec99a51689146d3ea1c3320768a0b41d3af510",
    "names/French.txt": "4a36e2c2d1988f320acca63fd7cc44ee314d694c1bb2328984ee16b8a06da5dd",
    "names/German.txt": "ded3711229b5b087d67e449707d2f2470744cbd544d9643c9244a7dc1ab03751",
    "names/Greek.txt": "5250f4f3a31d621bc8bea57d83cfdc135b61d25fa331862ff0ac5799efd49e2b",
    "names/Irish.txt": "41a713366c3ab4a12deda652935c3b8f167c76bfd41ccbf86e019f78609c8af6",
    "names/Italian.txt": "8758240c2cade0fe604560e03009d6ff57c0c79906b3064b8317b4909ed2d365",
    "names/Japanese.txt": "429652819775c92e943dc9ec61c856e0bac3e06fafb98c24df112f265f9aea21",
    "names/Korean.txt": "f2800264771c354d100a050d13d4185f33d268e150d0ccce9ba3ab3ef1ed8cc6",
    "names/Polish.txt": "e14abb5797e94652c1c1b49e940a58a60d7c5e8d108f371bad1b2ed0b8109527",
    "names/Portuguese.txt": "2c6790b43c965e14b3b2507fe864955109bbaa8ec0e18b44134bb76d7ebb7f61",
    "names/Russian.txt": "fdfe87df1055562c5bf6e0d9acc69035ef8898cb88fe75b419de9fd99a2f0a88",
    "names/Scottish.txt": "94ba57dde72a4e9a2b8cadd6b026831ba522440f4e0f08a4513f4774fff059dd",
    "names/Spanish.txt": "cef49412b154cc518aef91e652e965e4bed614b363c815fa11cbef02e417dbb0",
    "names/Vietnamese.txt": "8343a602402eed0944088ec4cf3337935816e40c6d674982f0acf73fc3f28b9a",
}


def folder() -> Path:
    """Where the data are."""
    return Path(os.environ.get("RECURRA_DATA", Path(__file__).parents[2] / "shared" / "data"))


def find(name: str) -> Path:
    """A data file, its bytes checked; ends the program in a sentence where it is missing or another one."""
    path = folder() / name
    if not path.exists():
        sys.exit(f"{path} is missing: see benchmarks/data.py for what is expected and where it comes from")
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != FILES[name]:
        sys.exit(f"{path} is not the file the figures were measured on: its SHA-256 is {found}")
    return path


def names_table(out: Path, seed: int = 0) -> tuple[Path, Path, Path]:
    """names as CSV tables `name,language`: 80 % training, 10 % validation, 10 % test of each language."""
    parts: tuple[list[list[str]], ...] = ([], [], [])
    for name in sorted(FILES):
        if not name.startswith("names/"):
            continue
        language = Path(name).stem
        rows = find(name).read_text(encoding="utf-8").split("\n")
        rows = sorted({row.strip() for row in rows if row.strip()})
        order = numpy_generator(seed, "names", language).permutation(len(rows))
        tenth = max(1, round(len(rows) / 10))
        for part, chosen in zip(parts, (order[2 * tenth :], order[:tenth], order[tenth : 2 * tenth]), strict=True):
            part.extend([rows[index], language] for index in sorted(chosen))
    paths = []
    for part, title in zip(parts, ("train", "valid", "test"), strict=True):
        paths.append(out / f"names-{title}.csv")
        with paths[-1].open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([["name", "language"], *part])
    return paths[0], paths[1], paths[2]


def series_table(path: Path) -> dict[str, list[Any]]:
    """Series [T, D] and their labels of a .ts file: a line holds the features, between colons, and the label."""
    lines = path.read_text().split("@data\n")[1].split()
    rows = [line.split(":") for line in lines]
    series = [np.array([[float(number) for number in one.split(",")] for one in row[:-1]]).T for row in rows]
    return {"input": series, "target": [row[-1] for row in rows]}
