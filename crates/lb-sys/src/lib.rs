//! Safe wrappers over libc, and nothing else
