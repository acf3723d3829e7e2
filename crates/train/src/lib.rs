//! Optimisers, schedules, the loop, checkpoint and resume, reduction over micro-batches and ranks.
