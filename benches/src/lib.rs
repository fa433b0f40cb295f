//! Load generator, origin and criterion benches
