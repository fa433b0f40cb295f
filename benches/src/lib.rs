//! Load generator and origin of the side-by-side bench (`cargo xtask bench`).
//!
//! Both are single-threaded and as cheap as they can be made, so that a proxy between them is what saturates: requests and answers
//! are compared with the last ones seen before anything is parsed. What they count is exact: an exchange is counted when its last byte
//! has been read and checked, and an error is never retried silently.
//!
//! Not a product: nothing else in the workspace depends on this crate.

pub mod client;
pub mod clock;
pub mod control;
pub mod origin;
pub mod plan;
pub mod wire;
