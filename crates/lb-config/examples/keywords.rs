//! Prints `docs/keywords.md`: `cargo run -p lb-config --example keywords > docs/keywords.md`

fn main() {
    print!("{}", lb_config::keywords_markdown());
}
