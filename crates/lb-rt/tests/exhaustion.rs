//! No descriptors left. A test binary of its own: the limit is the process's.

mod common;

use common::*;
use lb_sys::process::{fd_limit, set_fd_limit};
use rustix::io::Errno;
use std::future::poll_fn;
use std::io;
use std::task::Poll;
use std::time::Duration;

#[test]
fn accept_says_that_there_is_no_room_and_goes_on_when_there_is() {
    run(|rt| async move {
        let (listener, addr) = listen(&rt);
        let (soft, hard) = fd_limit().expect("limits");
        let used = std::fs::read_dir("/proc/self/fd").expect("proc").count() as u64;
        set_fd_limit(used + 20, hard).expect("lower");
        // Clients until the limit: connected, not yet accepted.
        let mut clients = Vec::new();
        let error = loop {
            match connect(&rt, &addr).await {
                Ok(socket) => clients.push(socket),
                Err(e) => break e,
            }
        };
        assert_eq!(error.raw_os_error(), Some(Errno::MFILE.raw_os_error()));
        let open = rt.open_sockets();
        let is_full = |e: &io::Error| e.raw_os_error() == Some(Errno::MFILE.raw_os_error());
        for _ in 0..3 {
            assert!(accept(&listener).await.map(drop).is_err_and(|e| is_full(&e)));
            assert!(rt.pipes().take(&rt).is_none(), "no pipe either");
        }
        assert_eq!(rt.open_sockets(), open, "nothing is left of what failed");
        // Without an edge: what waits in the queue was there before.
        set_fd_limit(soft, hard).expect("raise");
        rt.sleep(Duration::from_millis(1)).await;
        let mut servers = Vec::new();
        for _ in 0..clients.len() {
            servers.push(accept(&listener).await.expect("room again"));
        }
        poll_fn(|_| {
            assert!(listener.poll_accept().is_pending());
            Poll::Ready(())
        })
        .await;
        assert!(rt.pipes().take(&rt).is_some());
        assert_eq!(rt.open_sockets(), 1 + 2 * clients.len());
    });
}
