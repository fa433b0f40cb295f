//! Patterns that came from files and lines, shared by those that name the same file.

/// All pattern sets of a configuration.
#[derive(Debug, Default)]
pub struct Sets {}

impl Sets {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }
}
