"""Models with eyes against transformers and llama.cpp, in both directions; parity.py calls it.

  1. Models with random weights, saved by transformers with their processors in the layouts of Idefics3, SmolVLM and LLaVA, are
     shown pictures by `foretell sample`: of one tile, of many with the view of the whole, two of them. The log-probabilities of
     what it draws are within 1e-4 of transformers', which reads, scales, cuts and writes the pictures itself.
  2. `foretell export --to safetensors` makes a folder for which the same holds.
  3. `foretell export --to gguf` makes two files. Of that of the eyes every tensor has the name that llama.cpp's own table gives
     it, and the numbers of the model; foretell samples from the pair what it sampled from the model, and llama.cpp opens it.
     llama.cpp cuts pictures otherwise (docs/pictures.md), so it is given the tiles one by one, as they come from transformers'
     processor, and its rows are put where foretell puts them; its GELU is a table of half floats, hence the bound.
  4. --eyes: a model that foretell trained on pictures goes through all of it.
"""
import ctypes
import json
import pathlib

import gguf
import llama_cpp
import numpy as np
import torch
from golden_eyes import fill
from llama_cpp import mtmd_cpp
from PIL import Image
from safetensors.torch import load_file
from tokenizers import AddedToken
from transformers import (AutoModelForImageTextToText, AutoTokenizer, Idefics3Config, Idefics3Processor, LlavaConfig,
                          LlavaProcessor, SmolVLMConfig)
from transformers.models.idefics3.image_processing_pil_idefics3 import Idefics3ImageProcessorPil
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil
from transformers.models.smolvlm.image_processing_pil_smolvlm import SmolVLMImageProcessorPil

TILE, GRID = 24, 3
PICTURE_TOKENS = ["<fake_token_around_image>", "<image>", "<global-img>", "<end_of_utterance>"] + [
    f"<row_{row}_col_{column}>" for row in range(1, GRID + 1) for column in range(1, GRID + 1)]
SIZES = {"small": (20, 13), "wide": (70, 30), "tall": (31, 47)}
PROMPTS = {"one tile": ["small"], "many tiles": ["wide"], "two pictures": ["tall", "small"]}
# llama.cpp's GELU: half floats, eleven bits, in each of the encoder's layers.
LLAMA_CPP = 2e-3


def draw(folder):
    """Pictures of smooth colours and hard edges."""
    rng = np.random.default_rng(3)
    for name, (width, height) in SIZES.items():
        y, x = np.mgrid[0:height, 0:width]
        pixels = np.stack([x * 255 // width, y * 255 // height, 128 + 100 * np.sin(x / 5) * np.cos(y / 4)], -1)
        pixels[rng.integers(0, 2, (height, width)) == 0] //= 2
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / f"{name}.png")


def random_model(layout, folder, tokenizer):
    """A model with eyes, its tokenizer and its processor."""
    tokenizer.add_special_tokens({"additional_special_tokens": [AddedToken(t, special=True) for t in PICTURE_TOKENS]})
    image = tokenizer.convert_tokens_to_ids("<image>")
    vision = dict(hidden_size=36, intermediate_size=52, num_hidden_layers=2, num_attention_heads=3, image_size=TILE,
                  patch_size=4)
    text = dict(vocab_size=len(tokenizer), num_hidden_layers=2, max_position_embeddings=512, bos_token_id=None,
                eos_token_id=tokenizer.eos_token_id, hidden_size=42, intermediate_size=100, num_attention_heads=3,
                num_key_value_heads=1, head_dim=18, pad_token_id=tokenizer.eos_token_id)
    # As they come, which a run of ours does, and scaled to a longest edge.
    pictures = dict(do_resize=layout == "smolvlm", size={"longest_edge": 3 * TILE}, max_image_size={"longest_edge": TILE})
    if layout == "llava":
        config = LlavaConfig(
            vision_config=dict(model_type="siglip_vision_model", vision_use_head=False, **vision),
            text_config=dict(model_type="llama", **text), image_token_index=image, vision_feature_layer=-1,
            vision_feature_select_strategy="full", image_seq_length=36)
        processor = LlavaProcessor(
            SiglipImageProcessorPil(size={"height": TILE, "width": TILE}, resample=Image.BICUBIC), tokenizer, patch_size=4,
            vision_feature_select_strategy="full", num_additional_image_tokens=0)
    elif layout == "smolvlm":
        config = SmolVLMConfig(vision_config=vision, text_config=dict(model_type="llama", **text), scale_factor=3,
                               image_token_id=image, tie_word_embeddings=False)
        # Its own processor is one of videos, too, and takes packages for that; it writes pictures as Idefics3's does.
        processor = Idefics3Processor(SmolVLMImageProcessorPil(**pictures), tokenizer, image_seq_len=4)
    else:
        config = Idefics3Config(vision_config=vision, text_config=dict(model_type="qwen3", **text), scale_factor=2,
                                image_token_id=image, tie_word_embeddings=False)
        processor = Idefics3Processor(Idefics3ImageProcessorPil(**pictures), tokenizer, image_seq_len=9)
    model = AutoModelForImageTextToText.from_config(config, dtype=torch.float32)
    fill(model, torch.Generator().manual_seed(2))
    model.save_pretrained(folder)
    processor.save_pretrained(folder)


class Reference:
    """A folder as transformers opens it."""

    def __init__(self, folder):
        settings = json.loads((folder / "processor_config.json").read_text()).get("image_processor")
        settings = settings or json.loads((folder / "preprocessor_config.json").read_text())
        layout = json.loads((folder / "config.json").read_text())["model_type"]
        tokenizer = AutoTokenizer.from_pretrained(folder)
        self.end = tokenizer.eos_token_id
        self.scaled = settings["do_resize"]
        self.bare = layout == "llava"
        of_pictures, whole = {
            "idefics3": (Idefics3ImageProcessorPil, Idefics3Processor),
            "smolvlm": (SmolVLMImageProcessorPil, Idefics3Processor),
            "llava": (SiglipImageProcessorPil, LlavaProcessor),
        }[layout]
        self.processor = whole.from_pretrained(folder, image_processor=of_pictures(**settings), tokenizer=tokenizer)
        self.model = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")

    def prompt(self, pictures, prompt):
        """A document's first token, and what the processor makes of the rest; the tiles `[n, 3, side, side]`."""
        images = [Image.open(path).convert("RGB") for path in pictures]
        given = self.processor(text="<image>" * len(images) + prompt, images=images if self.bare else [images],
                               return_tensors="pt", add_special_tokens=False)
        return torch.cat([torch.tensor([self.end]), given["input_ids"][0]]), given["pixel_values"]

    def log_probabilities(self, ids, pixels, drawn):
        ids = torch.cat([ids, torch.tensor(drawn)])
        with torch.no_grad():
            logits = self.model(input_ids=ids[None], pixel_values=pixels).logits[0].double()
        at = torch.log_softmax(logits, -1)[-len(drawn) - 1:-1]
        return at.gather(1, torch.tensor(drawn)[:, None])[:, 0].numpy()


class LlamaCpp:
    """A pair of files as llama.cpp opens it."""

    def __init__(self, text, eyes):
        self.text = llama_cpp.Llama(str(text), n_ctx=512, n_batch=512, n_ubatch=512, n_threads=1, logits_all=True,
                                    type_k=0, type_v=0, flash_attn=False, verbose=False)
        params = mtmd_cpp.mtmd_context_params_default()
        params.use_gpu, params.n_threads, params.warmup = False, 1, False
        self.eyes = mtmd_cpp.mtmd_init_from_file(str(eyes).encode(), self.text._model.model, params)
        assert self.eyes, f"llama.cpp does not open {eyes}"
        self.width = llama_cpp.llama_model_n_embd(self.text._model.model)

    def rows(self, tile):
        """What the decoder sees of a tile `[side, side, 3]` of bytes."""
        bytes_ = (ctypes.c_uint8 * tile.size).from_buffer_copy(np.ascontiguousarray(tile).tobytes())
        bitmap = mtmd_cpp.mtmd_bitmap_init(tile.shape[1], tile.shape[0], bytes_)
        chunks = mtmd_cpp.mtmd_input_chunks_init()
        marker = mtmd_cpp.mtmd_default_marker()
        text = mtmd_cpp.mtmd_input_text(marker, len(marker), False, True)
        done = mtmd_cpp.mtmd_tokenize(self.eyes, chunks, ctypes.byref(text), (ctypes.c_void_p * 1)(bitmap), 1)
        assert done == 0, f"mtmd_tokenize: {done}"
        all_ = [mtmd_cpp.mtmd_input_chunks_get(chunks, i) for i in range(mtmd_cpp.mtmd_input_chunks_size(chunks))]
        # A picture of one tile is its part and the view of the whole: the same.
        shown = [c for c in all_ if mtmd_cpp.mtmd_input_chunk_get_type(c) == mtmd_cpp.MTMD_INPUT_CHUNK_TYPE_IMAGE]
        assert mtmd_cpp.mtmd_encode_chunk(self.eyes, shown[0]) == 0
        count = mtmd_cpp.mtmd_input_chunk_get_n_tokens(shown[0])
        rows = np.ctypeslib.as_array(mtmd_cpp.mtmd_get_output_embd(self.eyes), (count, self.width)).copy()
        mtmd_cpp.mtmd_input_chunks_free(chunks)
        mtmd_cpp.mtmd_bitmap_free(bitmap)
        return rows

    def log_probabilities(self, ids, rows, drawn, image):
        """Of what was drawn after `ids`, with rows in the place of the image tokens."""
        context, size, logits = self.text._ctx.ctx, self.text.n_vocab(), []
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(context), True)
        ids, at, taken = [*ids, *drawn], 0, 0
        while at < len(ids):
            seen = ids[at] == image
            end = next((i for i in range(at, len(ids)) if (ids[i] == image) != seen), len(ids))
            batch = llama_cpp.llama_batch_init(end - at, self.width if seen else 0, 1)
            batch.n_tokens = end - at
            for i in range(end - at):
                if not seen:
                    batch.token[i] = ids[at + i]
                batch.pos[i], batch.n_seq_id[i], batch.seq_id[i][0], batch.logits[i] = at + i, 1, 0, 1
            if seen:
                part = np.ascontiguousarray(rows[taken:taken + end - at], np.float32)
                ctypes.memmove(batch.embd, part.ctypes.data, part.nbytes)
                taken += end - at
            assert llama_cpp.llama_decode(context, batch) == 0
            for i in range(end - at):
                logits.append(np.ctypeslib.as_array(llama_cpp.llama_get_logits_ith(context, i), (size,)).astype(np.float64))
            llama_cpp.llama_batch_free(batch)
            at = end
        logp = torch.log_softmax(torch.tensor(np.array(logits)), -1)[-len(drawn) - 1:-1]
        return logp.gather(1, torch.tensor(drawn)[:, None])[:, 0].numpy()

    def close(self):
        mtmd_cpp.mtmd_free(self.eyes)
        self.text.close()


def sampled(foretell, model, pictures, prompt):
    """Tokens and their log-probabilities, an end token's among them."""
    images = [word for path in pictures for word in ("--image", path)]
    got = foretell.run("sample", model, *images, "--prompt", prompt, "--temperature", 0, "--tokens", 8, "--logprobs", 1)
    return [one["token"] for one in got["logprobs"]], np.array([one["logprob"] for one in got["logprobs"]])


def compare(foretell, report, differences, name, folder, work, argument=None):
    """All of it for a folder; `argument` is what foretell is given for it."""
    cases = {case: [work / f"{picture}.png" for picture in pictures] for case, pictures in PROMPTS.items()}
    prompt = "What?"
    reference = Reference(folder)
    ours = {case: sampled(foretell, argument or folder, pictures, prompt) for case, pictures in cases.items()}
    seen = {case: reference.prompt(pictures, prompt) for case, pictures in cases.items()}
    for case, (drawn, logp) in ours.items():
        report(f"{name}, {case}: foretell sample, transformers", ("largest", 1e-4), tiles=len(seen[case][1].flatten(0, -4)),
               **differences(logp, reference.log_probabilities(*seen[case], drawn)))

    out = work / f"{name}-hf"
    foretell.export(argument or folder, "safetensors", "f32", out)
    again = Reference(out)
    for case, (drawn, logp) in ours.items():
        report(f"{name}, {case}: exported as safetensors, transformers", ("largest", 1e-4),
               **differences(logp, again.log_probabilities(*again.prompt(cases[case], prompt), drawn)))
    if reference.bare:
        return
    for kind in ("f32", "f16", "bf16"):
        text = work / f"{name}-{kind}.gguf"
        foretell.export(argument or folder, "gguf", kind, text)
        compare_tensors(report, differences, f"{name}, {kind}", folder, text.with_name(f"{text.stem}-mmproj.gguf"), kind)
    text = work / f"{name}-f32.gguf"
    for case, (drawn, logp) in ours.items():
        tokens, again = sampled(foretell, text, cases[case], prompt)
        report(f"{name}, {case}: foretell sample of the pair", ("largest", 0.0), same=tokens == drawn,
               **differences(logp, again if tokens == drawn else logp + 1))
    if reference.scaled:
        return  # llama.cpp would scale the tiles, too.
    theirs = LlamaCpp(text, text.with_name(f"{text.stem}-mmproj.gguf"))
    image = reference.model.config.image_token_id
    for case, (drawn, logp) in ours.items():
        ids, pixels = seen[case]
        tiles = pixels.flatten(0, -4)
        # Back to bytes, which were normalised with 0.5 and 0.5.
        rows = np.concatenate([theirs.rows(((tile * 0.5 + 0.5) * 255).round().byte().permute(1, 2, 0).numpy())
                               for tile in tiles])
        with torch.no_grad():
            expected = reference.model.model.connector(reference.model.model.vision_model(
                pixel_values=tiles).last_hidden_state).reshape(rows.shape).numpy()
        report(f"{name}, {case}: llama.cpp's rows of the eyes, transformers", ("mean", LLAMA_CPP),
               spread=float(expected.std()), **differences(rows, expected))
        report(f"{name}, {case}: llama.cpp on the pair, foretell sample", ("mean", LLAMA_CPP),
               **differences(logp, theirs.log_probabilities(ids.tolist(), rows, drawn, image)))
    theirs.close()


def compare_tensors(report, differences, name, folder, eyes, kind):
    """The eyes' tensors by llama.cpp's own names."""
    weights = {k: v for k, v in load_file(folder / "model.safetensors").items()
               if k.startswith(("model.vision_model", "model.connector"))}
    reader = gguf.GGUFReader(eyes)
    tensors = {tensor.name: tensor for tensor in reader.tensors}
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.MMPROJ, 64)
    dtype = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}[kind]
    wrong = len(weights) != len(tensors)
    for theirs, numbers in weights.items():
        tensor = tensors.get(names.get_name(theirs, try_suffixes=(".weight", ".bias")))
        if tensor is None:
            wrong = True
            continue
        whole = numbers.dim() == 1 or ".embeddings." in theirs
        expected = (numbers if whole else numbers.to(dtype)).float().numpy()
        got = gguf.dequantize(tensor.data, tensor.tensor_type).reshape(expected.shape)
        wrong |= not np.array_equal(got, expected)
    report(f"{name}: tensors of the eyes by gguf's names", ("different", 0), different=int(wrong), tensors=len(tensors))
