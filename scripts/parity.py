#!/usr/bin/env python3
"""Compares foretell with transformers and llama.cpp, in both directions. Call it through parity.sh:

    scripts/parity.sh target/release/foretell [--checkpoint MODEL] [--eyes MODEL]

  1. Models with random weights, saved by transformers in both layouts, are scored by foretell: log-probabilities
     within 1e-4 of transformers'.
  2. What `foretell export --to gguf` makes of them opens in llama.cpp: the same tokens for texts of all kinds, and
     log-probabilities within 1e-3 in f32. In bf16 and f16 llama.cpp rounds activations too (to 8 and 11 bits), so the
     bound there is on the mean difference. foretell opens the file as well, with what it had before.
  3. What `foretell export --to safetensors` makes of them, in every type of number, opens in transformers: the same
     log-probabilities and tokens. So both layouts that we write, Qwen3's and Llama's, are opened by another program;
     Llama's also from the GGUF file of step 2, which our own reader turns back into a Hugging Face folder.
  4. --checkpoint: a model that foretell trained opens in transformers, with the same tokens and log-probabilities,
     and goes through steps 2 and 3 too.
  5. Models with eyes: parity_eyes.py. --eyes is one that foretell trained.

One JSON object a comparison on stdout; the exit code is 1 if any is out of bounds.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import llama_cpp
import numpy as np
import parity_eyes
import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, PreTrainedTokenizerFast, Qwen3Config

END = "<|endoftext|>"
TEXTS = [
    "The quick brown fox jumps over the lazy dog.",
    "It's what we've said: they'll come, I'd think, and you're RIGHT. DON'T!",
    "  two  spaces,\ta tab\n\n\nand   lines \r\n   indented\n",
    "1 22 333 4444 55555.66 7,000,000 x2y3",
    "naïve café Ωμέγα Привет 你好世界 こんにちは 🙂👩‍👩‍👧 नमस्ते ₂³",
    "fn main() { let x = [1, 2]; } // ok?!... <b>&amp;</b>",
]
QWEN2_SPLIT = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
               r"|\s+(?!\S)|\s+")
BOUNDS = {"f32": ("largest", 1e-3), "f16": ("mean", 5e-3), "bf16": ("mean", 5e-2)}
failed = []


def report(what, bound, **figures):
    """Prints a comparison. `bound` names a figure and what it must not exceed."""
    passed = bool(figures[bound[0]] <= bound[1])  # False for NaN
    if not passed:
        failed.append(what)
    print(json.dumps({"comparison": what, "passed": passed, "bound": bound, **figures}), flush=True)


def differences(a, b):
    d = np.abs(np.asarray(a, np.float64) - np.asarray(b, np.float64))
    return {"largest": float(d.max()), "mean": float(d.mean())}


class Foretell:
    """The program under test."""

    def __init__(self, binary):
        self.binary = binary

    def run(self, *arguments):
        """The last line of `--json` output."""
        command = [self.binary, *map(str, arguments), "--json"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=600)
        if done.returncode != 0:
            sys.exit(f"parity: {' '.join(command)} failed ({done.returncode}): {done.stderr.strip()}")
        lines = done.stdout.strip().splitlines()
        return json.loads(lines[-1]) if lines else {}

    def score(self, model, tokens):
        got = self.run("score", model, "--tokens", ",".join(map(str, tokens)))
        assert got["tokens"] == tokens, "score was given other tokens than it says"
        return np.array(got["logprobs"][1:], np.float64)

    def export(self, model, to, kind, out):
        self.run("export", model, "--to", to, "--dtype", kind, "--out", out)


def log_probabilities(logits, tokens):
    logits = torch.as_tensor(np.asarray(logits, np.float64))
    return torch.log_softmax(logits, -1)[:-1].gather(1, torch.tensor(tokens)[1:, None])[:, 0].numpy()


def of_transformers(folder, tokens):
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")
    with torch.no_grad():
        return log_probabilities(model(torch.tensor([tokens])).logits[0].numpy(), tokens)


def trained_tokenizer(split, size):
    """Byte-level BPE over the texts above, with the split rule of GPT-2 or Qwen 2."""
    tokenizer = Tokenizer(models.BPE())
    if split == "gpt-2":
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
            pre_tokenizers.Split(Regex(QWEN2_SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=size, special_tokens=[END], show_progress=False,
                                  initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()))
    tokenizer.train_from_iterator(TEXTS * 3, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=END, clean_up_tokenization_spaces=False)


def random_model(layout, folder):
    """A model of awkward sizes with random weights, and its tokenizer."""
    tokenizer = trained_tokenizer("qwen2" if layout == "qwen3" else "gpt-2", 300)
    tokenizer.save_pretrained(folder)
    common = dict(vocab_size=len(tokenizer), num_hidden_layers=3, max_position_embeddings=256, bos_token_id=None,
                  eos_token_id=tokenizer.eos_token_id)
    if layout == "qwen3":
        config = Qwen3Config(hidden_size=40, intermediate_size=100, num_attention_heads=3, num_key_value_heads=1,
                             head_dim=18, tie_word_embeddings=False, rope_theta=1e6, **common)
    else:
        config = LlamaConfig(hidden_size=44, intermediate_size=92, num_attention_heads=4, num_key_value_heads=2,
                             head_dim=14, tie_word_embeddings=True, rms_norm_eps=1e-5, rope_theta=5e5, **common)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for p in model.parameters():
            if p.dim() == 1:
                p.uniform_(0.5, 1.5, generator=generator)
            else:
                p.normal_(0.0, 1.5 * p.shape[1] ** -0.5, generator=generator)
    model.save_pretrained(folder)


def compare_scores(foretell, name, folder, tokens):
    ours = foretell.score(folder, tokens)
    report(f"{name}: foretell score, transformers", ("largest", 1e-4), **differences(ours, of_transformers(folder, tokens)))
    return ours


def compare_gguf(foretell, name, folder, tokens, ours, work):
    encode = AutoTokenizer.from_pretrained(folder)
    for kind, bound in BOUNDS.items():
        file = pathlib.Path(work) / f"{name}-{kind}.gguf"
        foretell.export(folder, "gguf", kind, file)
        # Keys and values in f32 and plain attention, so that nothing else is rounded.
        theirs = llama_cpp.Llama(str(file), n_ctx=256, n_batch=256, n_ubatch=256, n_threads=1, logits_all=True,
                                 type_k=0, type_v=0, flash_attn=False, verbose=False)
        for text in TEXTS:
            expected = encode.encode(text, add_special_tokens=False)
            got = theirs.tokenize(text.encode(), add_bos=False, special=False)
            if got != expected:
                report(f"{name}, {kind}: tokens of {text!r}", ("different", 0), different=1, got=got, expected=expected)
        theirs.eval(tokens)
        logp = log_probabilities(np.array(theirs.scores[: len(tokens)]), tokens)
        report(f"{name}, {kind}: foretell score, llama.cpp on the exported file", bound, **differences(ours, logp))
        theirs.close()
        again = foretell.score(file, tokens)
        # The file holds rounded weights: as much as their precision, and nothing in f32.
        report(f"{name}, {kind}: foretell score, foretell score of the exported file",
               ("mean", {"f32": 0.0, "f16": 5e-3, "bf16": 5e-2}[kind]), **differences(ours, again))


def compare_safetensors(foretell, name, folder, tokens, ours, work):
    """`folder` and the f32 file that compare_gguf made of it, exported as folders, opened by transformers."""
    encode = AutoTokenizer.from_pretrained(folder)
    architecture = json.loads((pathlib.Path(folder) / "config.json").read_text())["architectures"]
    cases = [(folder, kind) for kind in BOUNDS] + [(pathlib.Path(work) / f"{name}-f32.gguf", "f32")]
    for number, (source, kind) in enumerate(cases):
        out = pathlib.Path(work) / f"{name}-{number}-hf"
        foretell.export(source, "safetensors", kind, out)
        what = f"{name}, {kind}: {pathlib.Path(source).name} exported as safetensors"
        written = json.loads((out / "config.json").read_text())
        report(f"{what}: layout", ("different", 0), different=int(written["architectures"] != architecture))
        bound = ("largest", 1e-4) if kind == "f32" else BOUNDS[kind]
        # transformers computes in f32 with the rounded weights, as foretell does.
        theirs = of_transformers(out, tokens)
        report(f"{what}: transformers, foretell score of the model", bound, **differences(ours, theirs))
        report(f"{what}: transformers, foretell score of the folder", ("largest", 1e-4),
               **differences(foretell.score(out, tokens), theirs))
        again = AutoTokenizer.from_pretrained(out)
        for text in TEXTS:
            expected, got = (e.encode(text, add_special_tokens=False) for e in (encode, again))
            if got != expected:
                report(f"{what}: tokens of {text!r}", ("different", 0), different=1, got=got, expected=expected)
        if not (out / "generation_config.json").is_file() or not (out / "README.md").is_file():
            report(f"{what}: files", ("missing", 0), missing=1)


def checkpoint_of(model):
    """The folder that transformers can open: a run's latest checkpoint, or the folder itself."""
    steps = sorted(p.parent for p in (model / "checkpoints").glob("*/config.json"))
    return steps[-1] if steps else model


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("foretell")
    parser.add_argument("--checkpoint", type=pathlib.Path, help="a run or checkpoint that foretell has trained")
    parser.add_argument("--eyes", type=pathlib.Path, help="the same of one that was trained on pictures")
    options = parser.parse_args()
    torch.set_num_threads(1)
    foretell = Foretell(options.foretell)
    generator = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as work:
        for layout in ("qwen3", "llama"):
            folder = pathlib.Path(work) / layout
            random_model(layout, folder)
            # Longer than two tiles of attention.
            tokens = generator.integers(0, 300, 200).tolist()
            ours = compare_scores(foretell, layout, folder, tokens)
            compare_gguf(foretell, layout, folder, tokens, ours, work)
            compare_safetensors(foretell, layout, folder, tokens, ours, work)
        if options.checkpoint is None:
            print(json.dumps({"comparison": "trained: skipped, for no --checkpoint was given", "passed": None}))
        else:
            folder = checkpoint_of(options.checkpoint)
            encode = AutoTokenizer.from_pretrained(folder)
            for i, text in enumerate(TEXTS):
                file = pathlib.Path(work) / "text.txt"
                file.write_bytes(text.encode())
                got = foretell.run("score", options.checkpoint, "--text", file)["tokens"]
                expected = encode.encode(text, add_special_tokens=False)
                # A document begins with the end-of-text token.
                different = int(got not in (expected, [encode.eos_token_id, *expected]))
                report(f"trained: tokens of text {i}", ("different", 0), different=different)
            context = AutoModelForCausalLM.from_pretrained(folder).config.max_position_embeddings
            tokens = encode.encode("".join(TEXTS), add_special_tokens=False)[: min(context, 200)]
            ours = compare_scores(foretell, "trained", folder, tokens)
            compare_gguf(foretell, "trained", folder, tokens, ours, work)
            compare_safetensors(foretell, "trained", folder, tokens, ours, work)
        work = pathlib.Path(work)
        parity_eyes.draw(work)
        for layout in ("idefics3", "smolvlm", "llava"):
            folder = work / f"eyes-{layout}"
            parity_eyes.random_model(layout, folder, trained_tokenizer("gpt-2", 300))
            parity_eyes.compare(foretell, report, differences, layout, folder, work)
        if options.eyes is None:
            print(json.dumps({"comparison": "trained eyes: skipped, for no --eyes was given", "passed": None}))
        else:
            parity_eyes.compare(foretell, report, differences, "trained eyes", checkpoint_of(options.eyes), work,
                                options.eyes)
    if failed:
        sys.exit("parity: out of bounds: " + "; ".join(failed))


if __name__ == "__main__":
    main()
