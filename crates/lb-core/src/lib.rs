//! The proxy: sessions, streams, pump, queues, pools, health, logs
pub mod log;
