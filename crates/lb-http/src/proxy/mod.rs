//! PROXY protocol versions 1 and 2, sender and receiver.
