//! Load-balancing schedulers: no sockets, no clock
