//! CPU kernels beside their scalar twins; all unsafe code of the project.
