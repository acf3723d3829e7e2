//! Decoding with a key-value cache, samplers, log-probabilities.
