//! The command line of foretell: one file a verb; it reads options and prints, the other crates do the work.

fn main() {}
