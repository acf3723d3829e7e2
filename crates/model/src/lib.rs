//! The GPT as a function from a configuration to a graph; parametrisation; weights in and out.
