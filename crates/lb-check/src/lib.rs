//! Health checks as sans-I/O machines
