//! Documents, readers, tokenizer, shards, order, generated worlds.
