"""Makes the golden case `whisper/published`: a model of several languages with the generation settings that published
checkpoints have, and what `generate` of transformers makes of waveforms (see README.md for the layout).

    VENV/bin/python tests/goldens/speech.py tests/goldens

with the environment of make.py. The same versions give the same tensors.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
import transformers
from safetensors.torch import save_file
from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperForConditionalGeneration
from transformers.generation.logits_process import SuppressTokensAtBeginLogitsProcessor, SuppressTokensLogitsProcessor

CASE = "whisper/published"
RATE = 16000
STEPS = 16
NEW_TOKENS = 9
# Two tokens closer than this might change places by rounding; then the next seed is tried.
MARGIN = 0.03

LANGUAGES = {"<|en|>": 101, "<|de|>": 102, "<|fr|>": 103}
TASKS = {"translate": 104, "transcribe": 105}
# The last one: times, which are none of the text, would stand behind it.
NO_TIMESTAMPS = 110

CONFIG = WhisperConfig(
    vocab_size=NO_TIMESTAMPS + 1, d_model=32, num_mel_bins=80, max_source_positions=50, max_target_positions=40,
    encoder_layers=1, encoder_attention_heads=2, encoder_ffn_dim=40,
    decoder_layers=2, decoder_attention_heads=4, decoder_ffn_dim=48,
    decoder_start_token_id=100, pad_token_id=0, bos_token_id=1, eos_token_id=2, suppress_tokens=None,
    begin_suppress_tokens=None,
)
# What callers say: nothing, and what the command line takes.
WISHES = [{}, {"language": "de"}, {"language": "fr", "task": "translate"}, {"language": "en", "task": "transcribe"}]


def randomize(model, seed):
    """Weights of about unit gain. As f16, which is how they are stored."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if parameter.dim() == 1:
                value = (1.0 if "norm" in name and name.endswith("weight") else 0.0) + 0.2 * noise
            elif "embed" in name:
                value = noise
            else:
                value = 1.5 * noise / parameter[0].numel() ** 0.5
            parameter.copy_(value.half().float())


def waveforms(seed):
    """Two glides of different length, with noise."""
    numbers = np.random.default_rng(seed)
    result = []
    for seconds, pitch in [(1.0, 180.0), (0.6, 420.0)]:
        time = np.arange(int(seconds * RATE)) / RATE
        tone = np.sin(2 * np.pi * pitch * time * (1 + time)) * (0.4 + 0.3 * np.sin(19 * time))
        samples = tone + 0.05 * numbers.standard_normal(len(time))
        result.append(np.clip(samples, -1, 1).astype(np.float32))
    return result


def decode(model, features, start, processors):
    """Greedy decoding from the start tokens: tokens, and logits as the model gives them. None if it was close."""
    ids = torch.tensor([start] * features.shape[0])
    logits, tokens = [], []
    for _ in range(STEPS):
        raw = model(input_features=features, decoder_input_ids=ids).logits[:, -1]
        scores = raw
        for processor in processors:
            scores = processor(ids, scores)
        best = scores.topk(2, dim=-1).values
        if (best[:, 0] - best[:, 1]).min() < MARGIN:
            return None
        logits.append(raw)
        tokens.append(scores.argmax(-1))
        ids = torch.cat([ids, tokens[-1][:, None]], dim=1)
    return torch.stack(tokens, 1), torch.stack(logits, 1)


def suppressed(model, features, start):
    """Tokens that the model is fond of: always, and at the beginning."""
    plain = decode(model, features, start, [])
    if plain is None:
        return None
    tokens = plain[0].flatten().tolist()
    always = sorted(set(sorted(set(tokens), key=tokens.count)[-2:]) | {7, 30, 104, 105, 110})
    masked = decode(model, features, start, [SuppressTokensLogitsProcessor(always)])
    if masked is None:
        return None
    begin = sorted(set(masked[0][:, 0].tolist()) | {2})
    return always, begin


def transcripts(model, features, rows):
    """What `generate` makes of each audio file and each wish."""
    result = []
    for row in range(rows):
        for wish in WISHES:
            one = features[row : row + 1]
            ids = model.generate(one, **wish, max_new_tokens=NEW_TOKENS, return_timestamps=False, do_sample=False)
            detected = model.detect_language(one, generation_config=model.generation_config).item()
            result.append({"row": row, "wish": wish, "detected": detected, "ids": ids[0].tolist()})
    return result


def attempt(seed):
    model = WhisperForConditionalGeneration(CONFIG).eval()
    randomize(model, seed)
    extractor = WhisperFeatureExtractor(feature_size=80, sampling_rate=RATE, chunk_length=1)
    audio = waveforms(seed)
    features = extractor(audio, sampling_rate=RATE, return_tensors="pt").input_features
    start = [100, 101, 105, 110]
    settings = model.generation_config
    with torch.no_grad():
        lists = suppressed(model, features, start)
        if lists is None:
            return None
        always, begin = lists
        processors = [
            SuppressTokensAtBeginLogitsProcessor(begin, begin_index=len(start)), SuppressTokensLogitsProcessor(always),
        ]
        decoded = decode(model, features, start, processors)
        if decoded is None:
            return None
        published = dict(
            lang_to_id=LANGUAGES, task_to_id=TASKS, no_timestamps_token_id=NO_TIMESTAMPS, is_multilingual=True,
            forced_decoder_ids=[[1, None], [2, 105]], suppress_tokens=always, begin_suppress_tokens=begin,
            return_timestamps=False, max_length=40, decoder_start_token_id=100,
        )
        for key, value in published.items():
            setattr(settings, key, value)
        ids = torch.tensor([start + [5, 17, 60], start + [9, 44, 3]])
        outputs = {"logits": model(input_features=features, decoder_input_ids=ids).logits}
        written = transcripts(model, features, len(audio))
    outputs |= {"greedy.tokens": decoded[0], "greedy.logits": decoded[1]}
    inputs = {"input_features": features, "decoder_input_ids": ids}
    return model, extractor, audio, inputs, outputs, start, written


def differ(written):
    """Whether a wish changes what is written, and the two audio files are of different languages."""
    texts = {tuple(one["ids"]) for one in written}
    return len(texts) >= 6 and len({one["detected"] for one in written}) == 2


def describe(key, value):
    if key == "greedy.tokens":
        return {"dtype": "int64", "exact": True, "role": "final", "shape": list(value.shape)}
    std = round(value.std().item(), 4)
    return {"dtype": "float32", "role": "final", "shape": list(value.shape), "std": std, "tol": 1e-3}


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: speech.py FOLDER")
    for seed in range(1000):
        made = attempt(seed)
        if made is not None and differ(made[-1]):
            break
    else:
        sys.exit("no seed gives a case")
    model, extractor, audio, inputs, outputs, start, written = made
    target = Path(sys.argv[1]) / CASE
    (target / "main").mkdir(parents=True, exist_ok=True)
    waveform = torch.zeros(len(audio), RATE)
    for row, samples in enumerate(audio):
        waveform[row, : len(samples)] = torch.from_numpy(samples)
    lengths = torch.tensor([len(samples) for samples in audio])
    kept = inputs | {"ref.waveform": waveform, "ref.waveform_length": lengths}
    save_file({k: v.contiguous() for k, v in kept.items()}, target / "main" / "inputs.safetensors")
    save_file({k: v.contiguous() for k, v in outputs.items()}, target / "main" / "outputs.safetensors")
    model.half().save_pretrained(target / "model")
    extractor.save_pretrained(target / "model")
    # The filters follow from the other settings.
    preprocessor = target / "model" / "preprocessor_config.json"
    settings = json.loads(preprocessor.read_text())
    settings.pop("mel_filters", None)
    preprocessor.write_text(json.dumps(settings, indent=2) + "\n")
    described = {
        "greedy": {"decoder_start_ids": start, "steps": STEPS},
        "inputs": {k: {"dtype": str(v.dtype).split(".")[1], "shape": list(v.shape)} for k, v in inputs.items()},
        "outputs": {k: describe(k, v) for k, v in sorted(outputs.items())},
    }
    versions = {"torch": torch.__version__.split("+")[0], "transformers": transformers.__version__}
    meta = {
        "case": CASE, "family": "whisper", "transcripts": written, "made_with": versions, "runs": {"main": described},
        "seed": seed,
    }
    (target / "meta.json").write_text(json.dumps(meta, indent=1) + "\n")


if __name__ == "__main__":
    main()
