"""Makes `tests/fixtures/timestamps`: what `generate` of transformers makes of an audio file that is longer than what
the model takes at once, with times of segments and tokens (see README.md for the layout).

    VENV/bin/python tests/goldens/timestamps.py tests/fixtures

with transformers 5.24 and torch. Here, as in gristmill, the features of a window are those of its samples; transformers cuts them
out of those of the whole audio file.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
import transformers
from safetensors.torch import save_file
from transformers import LogitsProcessor, WhisperConfig, WhisperFeatureExtractor, WhisperForConditionalGeneration
from transformers.generation.logits_process import WhisperTimeStampLogitsProcessor

from speech import RATE, randomize

transformers.logging.set_verbosity_error()
CASE = "timestamps"
SECONDS = 3.3
NEW_TOKENS = 28
# Choices closer than this might fall otherwise by rounding; then the next seed is tried.
MARGIN = 0.02
NO_TIMESTAMPS = 110
HEADS = [[0, 1], [1, 0], [1, 3]]

CONFIG = WhisperConfig(
    # Times from 0 to 1 s, in steps of 20 ms.
    vocab_size=NO_TIMESTAMPS + 52, d_model=32, num_mel_bins=80, max_source_positions=50, max_target_positions=64,
    encoder_layers=1, encoder_attention_heads=2, encoder_ffn_dim=40,
    decoder_layers=2, decoder_attention_heads=4, decoder_ffn_dim=48,
    decoder_start_token_id=100, pad_token_id=0, bos_token_id=1, eos_token_id=2, suppress_tokens=None,
    begin_suppress_tokens=None,
)
SETTINGS = dict(
    lang_to_id={"<|en|>": 101, "<|de|>": 102, "<|fr|>": 103}, task_to_id={"translate": 104, "transcribe": 105},
    no_timestamps_token_id=NO_TIMESTAMPS, prev_sot_token_id=107, is_multilingual=True, alignment_heads=HEADS,
    max_initial_timestamp_index=10, suppress_tokens=[7, 30, *range(100, NO_TIMESTAMPS)], begin_suppress_tokens=[2, 4],
    return_timestamps=False, max_length=64, decoder_start_token_id=100, forced_decoder_ids=None,
)
# So that nothing is decoded again: whatever is sampled is not the same everywhere.
THRESHOLDS = dict(logprob_threshold=-100.0, compression_ratio_threshold=100.0, no_speech_threshold=2.0)


class Windowed(WhisperForConditionalGeneration):
    """Takes the features of each window from its samples."""

    def _get_input_segment(self, input_features, seek, seek_num_frames, num_segment_frames, cur_bsz, batch_idx_map):
        begin = int(seek[0]) * 160
        samples = self.samples[begin : begin + int(seek_num_frames[0]) * 160]
        return self.extractor(samples, sampling_rate=RATE, return_tensors="pt").input_features


class Margins(LogitsProcessor):
    """Remembers how close choices were, and gives the scores on."""

    def __init__(self):
        self.least = 9.0

    def __call__(self, input_ids, scores):
        best = scores.topk(2, dim=-1).values[0]
        self.least = min(self.least, (best[0] - best[1]).item())
        return scores


def waveform(seed):
    """A glide with silences, and noise."""
    numbers = np.random.default_rng(seed)
    time = np.arange(int(SECONDS * RATE)) / RATE
    tone = np.sin(2 * np.pi * 180 * time * (1 + 0.3 * time)) * (0.4 + 0.3 * np.sin(19 * time)) * (np.sin(4 * time) > -0.3)
    return np.clip(tone + 0.05 * numbers.standard_normal(len(time)), -1, 1).astype(np.float32)


def transcripts(model, conditioned):
    """What `generate` makes of the audio file: segments with tokens and their times. None if it was close."""
    frames = len(model.samples) // 160
    margins = Margins()
    written = model.generate(
        torch.zeros(1, 80, frames), attention_mask=torch.ones(1, frames, dtype=torch.long), language="de", max_new_tokens=NEW_TOKENS,
        return_timestamps=True, return_segments=True, return_token_timestamps=True, temperature=0.0,
        condition_on_prev_tokens=conditioned, logits_processor=[margins],
    )
    if margins.least < MARGIN:
        return None
    segments = []
    for segment in written["segments"][0]:
        times = segment["token_timestamps"]
        segments.append({
            "start": round(float(segment["start"]), 4), "end": round(float(segment["end"]), 4),
            "tokens": segment["tokens"].tolist(), "times": [round(float(t), 4) for t in times],
        })
    return segments


def attempt(seed):
    model = Windowed(CONFIG).eval()
    randomize(model, seed)
    model.samples = waveform(seed)
    model.extractor = WhisperFeatureExtractor(feature_size=80, sampling_rate=RATE, chunk_length=1)
    for key, value in SETTINGS.items():
        setattr(model.generation_config, key, value)
    with torch.no_grad():
        plain = transcripts(model, False)
        return model, plain, transcripts(model, True) if good(plain) else None


def good(plain):
    """Several windows, some with several segments, which do not say the same all the time."""
    if plain is None or not 5 <= len(plain) <= 12:
        return False
    texts = [[t for t in segment["tokens"] if t <= NO_TIMESTAMPS] for segment in plain]
    several = any(a["end"] == b["start"] and a["tokens"][-1] == b["tokens"][0] for a, b in zip(plain, plain[1:]))
    return len(set(sum(texts, []))) >= 8 and several


def rules():
    """Logits and tokens in, what `WhisperTimeStampLogitsProcessor` leaves of the logits out: the best token, and the logarithm of
    its probability."""
    numbers = torch.Generator().manual_seed(5)
    settings = transformers.GenerationConfig(eos_token_id=2)
    settings.no_timestamps_token_id, settings.max_initial_timestamp_index = NO_TIMESTAMPS, 10
    first = NO_TIMESTAMPS + 1
    texts = [
        [], [first], [first + 3, 5], [first, 5, 6, first + 9], [first, 5, first + 9, first + 9], [first, 5, first + 9, first + 12, 8],
        [first + 50, 9],
    ]
    cases = []
    for tokens in texts:
        for favour in (0.0, 3.0, -3.0):
            logits = torch.randn(1, CONFIG.vocab_size, generator=numbers) * 2
            logits[:, first:] += favour
            processor = WhisperTimeStampLogitsProcessor(settings, begin_index=1)
            scores = processor(torch.tensor([[100, *tokens]]), logits)
            best = scores.argmax(-1).item()
            cases.append({
                "tokens": tokens, "best": best, "log_probability": scores.log_softmax(-1)[0, best].item(),
                "logits": [round(x, 6) for x in logits[0].tolist()],
            })
    return cases


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: timestamps.py FOLDER")
    for seed in range(3000):
        model, plain, conditioned = attempt(seed)
        if conditioned is not None and conditioned != plain:
            break
    else:
        sys.exit("no seed gives a case")
    target = Path(sys.argv[1]) / CASE
    target.mkdir(parents=True, exist_ok=True)
    save_file({"waveform": torch.from_numpy(model.samples)}, target / "recording.safetensors")
    extractor = model.extractor
    for key, value in (SETTINGS | THRESHOLDS).items():
        setattr(model.generation_config, key, value)
    model.__class__ = WhisperForConditionalGeneration
    model.half().save_pretrained(target / "model")
    extractor.save_pretrained(target / "model")
    preprocessor = target / "model" / "preprocessor_config.json"
    settings = json.loads(preprocessor.read_text())
    settings.pop("mel_filters", None)
    preprocessor.write_text(json.dumps(settings, indent=2) + "\n")
    versions = {"torch": torch.__version__.split("+")[0], "transformers": transformers.__version__}
    meta = {
        "made_with": versions, "seed": seed, "new_tokens": NEW_TOKENS, "plain": plain,
        "conditioned": conditioned, "rules": rules(),
    }
    (target / "meta.json").write_text(json.dumps(meta) + "\n")


if __name__ == "__main__":
    main()
