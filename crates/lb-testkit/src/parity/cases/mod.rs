//! The table. One module per topic, each a plain list.

mod basic;

use super::case::Case;

/// All cases.
pub fn all() -> Vec<Case> {
    let mut all = Vec::new();
    all.extend(basic::cases());
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn names_are_unique_and_placeholders_known() {
        let mut seen = HashSet::new();
        for case in all() {
            assert!(seen.insert(case.name), "{} twice", case.name);
            assert!(!case.clients.is_empty(), "{}: no client", case.name);
            for (facet, why) in case.differs.iter().chain(&case.loose) {
                assert!(!facet.is_empty() && why.len() > 10, "{}: explain {facet}", case.name);
            }
        }
    }
}
