//! The shell around `vrrp`: keepalived.conf and, later, what an election needs of the system.
//!
//! Today it reads and checks the file ([`conf`]); what runs instances is not there yet.

pub mod conf;
