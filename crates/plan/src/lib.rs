//! Budget to shape and tokens; the machine's probe to seconds.
