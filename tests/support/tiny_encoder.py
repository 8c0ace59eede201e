"""Text encoders for tests: a real Hugging Face folder of a few kilobytes, and one of arithmetic."""

import hashlib
from dataclasses import dataclass, field

import numpy as np

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "red", "blue", "green", "pen", "ink", "and"]


def save_tiny_encoder(folder, seed=3):
    """A one-layer BERT with random weights that transformers saved itself."""
    import torch  # noqa: PLC0415 - seconds of import that most tests do without
    from transformers import BertConfig, BertModel, BertTokenizerFast  # noqa: PLC0415

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join(WORDS))
    BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=len(WORDS),
        hidden_size=12,
        num_hidden_layers=1,
        num_attention_heads=3,
        intermediate_size=20,
        max_position_embeddings=32,
    )
    BertModel(config).save_pretrained(folder)
    return folder


@dataclass
class HashEncoder:
    """A text's vector comes from its hash; remembers what it was asked for."""

    fingerprint: str = "ab" * 32
    dim: int = 5
    name: str = "hash"
    asked: list[str] = field(default_factory=list)

    def encode(self, texts, progress):
        with progress.track("Encoding", len(texts)) as advance:
            self.asked += texts
            advance(len(texts))
        return np.stack([self.vector(text) for text in texts])

    def vector(self, text):
        seed = hashlib.sha256(text.encode()).digest()[:8]
        random = np.random.default_rng(int.from_bytes(seed, "big"))
        return random.normal(size=self.dim).astype(np.float32)
