"""What the int8 model loses beside its float original, on judged queries."""

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean

from benchmarks.bare_onnx import MODEL
from benchmarks.processes import running_stack, vitrina
from benchmarks.quality.ablation import environment
from benchmarks.quality.asking import Answers, asked
from benchmarks.quality.sheets import Sheet
from services.cli.connection import Target
from services.cli.failures import Failure
from services.cli.judgment.asking import DEPTH
from services.cli.judgment.configs import Config
from services.cli.judgment.files import JudgedQueries
from services.cli.judgment.gate import overlap
from services.cli.judgment.measures import CONDENSED, NDCG, RECALL, mean, scores_by_query
from services.cli.status import status_of

INT8, FLOAT = "int8", "float"
MODES = {"semantic": "by meaning", "hybrid": "hybrid"}
_MEASURES = (NDCG, CONDENSED, RECALL)
_TIMEOUT_SECONDS = 30.0
# A float model takes some 10 ms of processor for a document.
_BUILD_SECONDS = 3600.0


def answers_of(
    judged: JudgedQueries, data_dir: Path, catalog: Path | None, float_folder: Path
) -> dict[str, Answers]:
    """Embed the catalog with both models, and ask all queries in both spaces; by mode and model.

    A catalog is imported first; else the folder must hold one. Raises Failure.
    """
    folders = os.pathsep.join(str(folder.resolve()) for folder in (MODEL, float_folder))
    variables = {"VITRINA_EMBEDDER_PROVIDERS": "minilm", "VITRINA_MODEL_DIR": folders}
    with environment(variables), running_stack(data_dir) as stack:
        target = Target(stack.grpc, _TIMEOUT_SECONDS)
        if catalog is not None:
            vitrina("import", str(catalog), "--wait", address=stack.grpc)
        spaces = dict(zip((INT8, FLOAT), _ready_spaces(target), strict=True))
        ways = {
            f"{mode} {model}": Config(mode=mode, space=space)
            for mode in MODES
            for model, space in spaces.items()
        }
        return asked(target, "both models", ways, judged.texts)


def _ready_spaces(target: Target) -> Sequence[str]:
    """Return the two spaces in the embedder's order, once both hold the whole catalog."""
    give_up_at = time.monotonic() + _BUILD_SECONDS
    while time.monotonic() < give_up_at:
        status = status_of(target)
        spaces = [space.id for space in status.spaces]
        if len(spaces) != 2:
            raise Failure(f"{len(spaces)} models could be opened, not 2: the log tells more")
        whole = {each.space for each in status.collections if each.is_ready and not each.lag}
        if whole.issuperset(spaces):
            return spaces
        time.sleep(1.0)
    raise Failure(f"the collections were not built within {_BUILD_SECONDS:g} s")


def sheet_of(judged: JudgedQueries, answers: Mapping[str, Answers]) -> Sheet:
    """Return the table of means, and how much of the first ten both models find."""
    sheet = Sheet(
        "The int8 model beside its float original",
        ("", *_MEASURES, "first 10 in common"),
        notes=(
            f"Means over {len(judged.measurable)} judged queries; answers hold {DEPTH} products. "
            "In common: over all queries.",
        ),
    )
    for mode, title in MODES.items():
        both = [answers[f"{mode} {model}"] for model in (INT8, FLOAT)]
        common = fmean(
            overlap(both[0][query].product_ids, both[1][query].product_ids)
            for query in judged.texts
        )
        for model, own in zip((INT8, FLOAT), both, strict=True):
            rankings = {query: own[query].product_ids for query in judged.measurable}
            scores = scores_by_query(rankings, judged.grades)
            figures = (f"{mean(scores, measure) or 0:.3f}" for measure in _MEASURES)
            last = f"{common:.3f}" if model == INT8 else ""
            sheet.rows.append((f"{title}, {model}", *figures, last))
    return sheet
