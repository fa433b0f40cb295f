//! One thread's event loop: executor, reactor, timers, sockets, simulator
