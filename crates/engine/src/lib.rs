//! Graphs of typed operations, their gradients, the memory plan and the executor.
