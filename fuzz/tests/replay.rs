//! Every target over its corpus and over seeded mutations of it, on stable.

use lb_fuzz::TARGETS;
use lb_fuzz::mutate::{Rng, mutate};
use std::path::Path;

/// Mutations per target.
const ROUNDS: u64 = 30_000;

#[test]
fn corpus_and_mutations() {
    for &(name, target, words) in TARGETS {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
        let mut files: Vec<_> =
            std::fs::read_dir(&dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display())).map(|e| e.unwrap().path()).collect();
        files.sort();
        let corpus: Vec<Vec<u8>> = files.iter().map(|f| std::fs::read(f).unwrap()).collect();
        assert!(!corpus.is_empty(), "{name} has no corpus");
        corpus.iter().for_each(|data| target(data));
        for seed in 0..ROUNDS {
            let mut rng = Rng::new(seed);
            let mut data = corpus[rng.below(corpus.len())].clone();
            let other = &corpus[rng.below(corpus.len())];
            mutate(&mut rng, &mut data, words, other);
            if let Err(cause) = std::panic::catch_unwind(|| target(&data)) {
                eprintln!("{name}, seed {seed}: {data:?}");
                std::panic::resume_unwind(cause);
            }
        }
    }
}

#[test]
fn all_converters_are_called() {
    lb_fuzz::expressions::calls_are_complete();
}
