//! Samples, log-format: compiled once, evaluated against a context
