"""What a user sees of storage that is not usable: `vitrina up`, and an embedder whose model is."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from services.embedder.providers.base import ProviderUnusable
from services.embedder.providers.minilm import MiniLMProvider
from tests.catalog_support import open_store
from tests.cli_process import Ended, vitrina
from tests.embedder_support import MINILM_FOLDER
from tests.faults.storage_support import refused, started
from tests.support import until


async def up(data_dir: Path, **environment: str) -> Ended:
    ports = ("--http-port", "0", "--grpc-port", "0")
    return await vitrina("up", "--data-dir", str(data_dir), *ports, stdin=b"", **environment)


async def test_up_names_a_data_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("no folder")
    ended = await up(tmp_path / "data")
    assert ended.code == 1
    assert f"{tmp_path / 'data'}: file exists" in ended.err
    assert "--data-dir" in ended.err


@pytest.mark.parametrize("name", ["catalog", "index"])
async def test_up_shows_in_one_line_why_a_service_cannot_start(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("no folder")
    ended = await up(tmp_path, COLUMNS="400")
    assert ended.code == 1
    (line,) = [line for line in ended.err.splitlines() if line.startswith("  not started")]
    assert f"VITRINA_DATA_DIR: {tmp_path / name} cannot be used" in line
    assert "restarting" not in ended.err


async def test_up_shows_that_the_database_is_damaged(tmp_path: Path) -> None:
    async with open_store(tmp_path / "catalog"):
        pass
    file = tmp_path / "catalog" / "catalog.db"
    file.write_bytes(b"no database" * 1_000)
    ended = await up(tmp_path, COLUMNS="400")
    assert ended.code == 1
    assert f"{file} is damaged" in ended.err
    assert file.read_bytes() == b"no database" * 1_000


def garbage(file: Path) -> None:
    file.write_text("garbage")


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1_000])


@pytest.mark.parametrize("damage", [garbage, cut, Path.unlink])
@pytest.mark.parametrize("name", ["onnx/model.onnx", "tokenizer.json"])
@pytest.mark.parametrize("has_sums", [True, False])
async def test_a_damaged_file_of_a_model_is_named(
    tmp_path: Path, name: str, damage: Callable[[Path], None], has_sums: bool
) -> None:
    folder = Path(shutil.copytree(MINILM_FOLDER, tmp_path / "model"))
    if not has_sums:
        (folder / "SHA256SUMS").unlink()
    damage(folder / name)
    with pytest.raises(ProviderUnusable, match=Path(name).name):
        async with MiniLMProvider(folder, document_template="${name}"):
            pass


async def test_an_embedder_without_a_sound_model_ends_with_a_line_that_names_the_file(
    tmp_path: Path,
) -> None:
    folder = Path(shutil.copytree(MINILM_FOLDER, tmp_path / "model"))
    cut(folder / "onnx" / "model.onnx")
    environment = {"VITRINA_MODEL_DIR": str(folder), "GOOGLE_API_KEY": ""}
    record = await refused("embedder", tmp_path / "data", **environment)
    assert record["reason"] == "PROVIDER_UNUSABLE"
    assert "model.onnx is damaged" in record["problem"]


async def test_a_broken_model_is_left_out_by_name_and_the_others_serve(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(MINILM_FOLDER, tmp_path / "model"))
    (folder / "tokenizer.json").write_text("garbage")
    environment = {
        "VITRINA_MODEL_DIR": str(folder),
        "VITRINA_EMBEDDER_PROVIDERS": "minilm,hashing",
        "GOOGLE_API_KEY": "",
    }
    async with started("embedder", tmp_path / "data", **environment) as embedder:
        await until(lambda: bool(embedder.events("serving")), seconds=60, what="it serves")
        (left_out,) = embedder.events("provider left out")
        assert "tokenizer.json is damaged" in left_out["problem"]
        (opened,) = embedder.events("space opened")
        assert opened["space"].startswith("hashing")
