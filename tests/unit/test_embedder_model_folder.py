"""What a sentence-transformers folder says, and what is wrong with one."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from services.embedder.providers.base import ProviderUnusable
from services.embedder.providers.model_folder import Pooling, read_model_folder


def folder_with(
    folder: Path, files: dict[str, Any] | None = None, model: str = "onnx/model.onnx"
) -> Path:
    """Lay a folder out with these JSON files."""
    (folder / model).parent.mkdir(parents=True, exist_ok=True)
    (folder / model).write_bytes(b"weights")
    (folder / "tokenizer.json").write_text("{}")
    for name, content in (files or {}).items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(content))
    return folder


@pytest.mark.parametrize("model", ["model.onnx", "onnx/model.onnx"])
def test_the_model_may_lie_in_either_place(tmp_path: Path, model: str) -> None:
    assert read_model_folder(folder_with(tmp_path, model=model)).onnx_path == tmp_path / model


@pytest.mark.parametrize(
    ("settings", "pooling"),
    [
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, Pooling.CLS),
        ({"pooling_mode_mean_tokens": True}, Pooling.MEAN),
        ({"pooling_mode_max_tokens": True}, Pooling.MAX),
        ({"pooling_mode": "cls", "word_embedding_dimension": 384}, Pooling.CLS),
    ],
)
def test_pooling_is_read(tmp_path: Path, settings: dict[str, Any], pooling: Pooling) -> None:
    folder = folder_with(tmp_path, {"1_Pooling/config.json": settings})
    assert read_model_folder(folder).pooling is pooling


@pytest.mark.parametrize(
    "settings",
    [
        {"pooling_mode_lasttoken": True},
        {"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": True},
        {"pooling_mode_mean_tokens": False},
    ],
)
def test_pooling_that_is_not_known_is_refused(tmp_path: Path, settings: dict[str, Any]) -> None:
    with pytest.raises(ProviderUnusable, match="pooling"):
        read_model_folder(folder_with(tmp_path, {"1_Pooling/config.json": settings}))


def test_the_pipelines_limit_goes_before_the_models(tmp_path: Path) -> None:
    folder = folder_with(
        tmp_path,
        {
            "config.json": {"max_position_embeddings": 514, "pad_token_id": 1},
            "sentence_bert_config.json": {"max_seq_length": 128},
        },
    )
    model = read_model_folder(folder)
    assert (model.max_tokens, model.pad_token_id) == (128, 1)


def test_other_weights_or_another_vocabulary_are_another_revision(tmp_path: Path) -> None:
    revisions = set()
    folder = folder_with(tmp_path)
    revisions.add(read_model_folder(folder).revision)
    (folder / "onnx/model.onnx_data").write_bytes(b"weights of a large model")
    revisions.add(read_model_folder(folder).revision)
    (folder / "onnx/model.onnx").write_bytes(b"weighty")
    revisions.add(read_model_folder(folder).revision)
    (folder / "tokenizer.json").write_text("{ }")
    revisions.add(read_model_folder(folder).revision)
    assert len(revisions) == 4


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    folder = folder_with(tmp_path)
    digest = hashlib.sha256(b"weights").hexdigest()
    (folder / "SHA256SUMS").write_text(f"{digest}  onnx/model.onnx\n\n")
    read_model_folder(folder)
    (folder / "onnx/model.onnx").write_bytes(b"weights cut sho")
    with pytest.raises(ProviderUnusable, match="onnx is damaged"):
        read_model_folder(folder)


@pytest.mark.parametrize("missing", ["onnx/model.onnx", "tokenizer.json"])
def test_a_missing_file_is_named(tmp_path: Path, missing: str) -> None:
    folder = folder_with(tmp_path)
    (folder / missing).unlink()
    with pytest.raises(ProviderUnusable, match=Path(missing).name):
        read_model_folder(folder)


def test_a_folder_that_is_not_there_is_unusable(tmp_path: Path) -> None:
    with pytest.raises(ProviderUnusable):
        read_model_folder(tmp_path / "nowhere")


@pytest.mark.parametrize("content", ["{", "[]", '"text"'])
def test_a_file_that_is_not_json_is_unusable(tmp_path: Path, content: str) -> None:
    folder = folder_with(tmp_path)
    (folder / "config.json").write_text(content)
    with pytest.raises(ProviderUnusable):
        read_model_folder(folder)
