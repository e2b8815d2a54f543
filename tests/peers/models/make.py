"""Writes the models of the comparison: make.py FOLDER [--only S,M,L,E] [--encoder DIRECTORY].

For each language model NAME: NAME/hf (a Hugging Face directory), NAME/q4_0.gguf, NAME/q4.onnx, and for S f32.onnx.
For the encoder E: E/f32.onnx, E/int8.onnx, E/words.json, and E/hf, the directory that was given.
"""

import argparse
from pathlib import Path

from gguf_decoder import write_gguf
from onnx_decoder import write_decoder
from onnx_encoder import write_encoder
from weights import SHAPES, random_weights, write_hugging_face


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", default="S,M,E")
    parser.add_argument("--encoder", type=Path)
    args = parser.parse_args()
    for name in args.only.split(","):
        folder = args.folder / name
        folder.mkdir(parents=True, exist_ok=True)
        if name == "E":
            if not args.encoder or not (args.encoder / "model.safetensors").is_file():
                raise SystemExit(f"E: expected --encoder with model.safetensors, found {args.encoder}")
            link = folder / "hf"
            link.unlink(missing_ok=True)
            link.symlink_to(args.encoder.resolve())
            write_encoder(args.encoder, folder)
        elif name in SHAPES:
            write_language_model(name, folder)
        else:
            raise SystemExit(f"--only: expected some of {', '.join([*SHAPES, 'E'])}, found {name}")
        sizes = [f"{p.name} {p.stat().st_size / 1e6:.1f} MB" for p in sorted(folder.glob("*.*"))]
        print(f"{name}: {', '.join(sizes)}", flush=True)


def write_language_model(name, folder):
    """All formats of one language model."""
    shape = SHAPES[name]
    weights = random_weights(shape)
    write_hugging_face(shape, weights, folder / "hf")
    write_gguf(shape, weights, folder / "q4_0.gguf")
    write_decoder(shape, weights, folder / "q4.onnx", "q4")
    if name == "S":
        write_decoder(shape, weights, folder / "f32.onnx", "f32")


if __name__ == "__main__":
    main()
