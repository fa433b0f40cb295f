//! How many calls it takes to move chunks that are copied: as large as buffers are, not as the source's pieces are.

use crate::peers::*;
use crate::proxy::SimProxy;
use lb_rt::Rt;
use lb_rt::sim::{SimWorld, seeds};
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

const FRONT: &str = "10.0.0.1:80";
const ORIGIN: &str = "10.0.1.1:8080";
const BODY: usize = 1 << 20;

/// Whether it takes more than `calls` calls to bring an answer of 1 MiB in chunks of this size.
fn springs(seed: u64, global: &str, chunk: usize, calls: u32) -> bool {
    let world = SimWorld::new(seed);
    world.calm();
    world.set_equal_buffers(4 << 20);
    world.tolerate_casualties();
    world.set_latency(Duration::from_millis(1), Duration::from_millis(1));
    let config = format!(
        "global\n {global}\ndefaults\n mode http\n log @LOG@ local0\n timeout connect 5s\n timeout client 1h\n timeout server 1h\n\
         listen l\n bind {FRONT}\n server s {ORIGIN}\n"
    );
    let proxy = SimProxy::start(&world, &config, 1);
    world.trap(&proxy.threads[0].0, calls);
    let mut answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for _ in 0..BODY / chunk {
        answer.extend_from_slice(format!("{chunk:x}\r\n{}\r\n", "x".repeat(chunk)).as_bytes());
    }
    answer.extend_from_slice(b"0\r\n\r\n");
    let origins = Rt::simulated(&world);
    origin(&origins, ORIGIN, move |socket| {
        let answer = answer.clone();
        async move {
            let _ = socket.read(&mut [0; 1000]).await;
            let _ = socket.write_all(&answer).await;
            let _ = swallow(&socket).await;
        }
    });
    let clients = Rt::simulated(&world);
    let done = Rc::new(Cell::new(false));
    let (rt, told) = (clients.clone(), done.clone());
    clients.spawn(async move {
        let socket = connect(&rt, FRONT).await.expect("connect");
        let _ = socket.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
        let _ = swallow(&socket).await;
        told.set(true);
    });
    world.run_until(|| done.get());
    proxy.drain(0);
    let sprung = proxy.threads[0].0.casualties().panicked != 0;
    proxy.end();
    sprung
}

#[test]
fn copied_chunks_take_few_calls() {
    // 64 reads of a buffer, a write for three or four of them.
    const CALLS: u32 = 110;
    for (global, chunk) in [("nosplice", BODY), ("nosplice", 256 << 10), ("", 4096), ("", 512)] {
        seeds(3, &[], |seed| assert!(!springs(seed, global, chunk, CALLS), "{global} {chunk}: more than {CALLS} calls"));
    }
    // The trap counts: fewer calls than buffers there cannot be.
    assert!(springs(1, "nosplice", BODY, 60));
}
