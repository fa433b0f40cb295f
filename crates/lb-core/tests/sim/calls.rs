//! Chunks that are copied: how many calls it takes to move them, and what has arrived when they turn out to be none.

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

/// The body in chunks of this size, without an end.
fn chunks(chunk: usize) -> Vec<u8> {
    format!("{chunk:x}\r\n{}\r\n", "x".repeat(chunk)).into_bytes().repeat(BODY / chunk)
}

/// Brings an answer with these chunks; whether it took more than `calls` calls, and the bytes that the client got.
fn bring(seed: u64, global: &str, chunks: &[u8], calls: u32) -> (bool, u64) {
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
    answer.extend_from_slice(chunks);
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
    let got = Rc::new(Cell::new(None));
    let (rt, told) = (clients.clone(), got.clone());
    clients.spawn(async move {
        let socket = connect(&rt, FRONT).await.expect("connect");
        let _ = socket.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
        told.set(Some(swallow(&socket).await.unwrap_or_default()));
    });
    world.run_until(|| got.get().is_some());
    proxy.drain(0);
    let sprung = proxy.threads[0].0.casualties().panicked != 0;
    proxy.end();
    (sprung, got.get().unwrap_or_default())
}

#[test]
fn copied_chunks_take_few_calls() {
    // 16 reads of a large buffer, a write for each of them, and those for heads.
    const CALLS: u32 = 48;
    let springs = |seed, global, chunk, calls| bring(seed, global, &[&chunks(chunk)[..], b"0\r\n\r\n"].concat(), calls).0;
    for (global, chunk) in [("nosplice", BODY), ("nosplice", 256 << 10), ("", 4096), ("", 512)] {
        seeds(3, &[], |seed| assert!(!springs(seed, global, chunk, CALLS), "{global} {chunk}: more than {CALLS} calls"));
    }
    // The trap counts: fewer calls than buffers there cannot be.
    assert!(springs(1, "nosplice", BODY, 30));
}

/// What waited for more to go with it, when what came was no chunk.
#[test]
fn all_that_came_before_a_bad_chunk_arrives() {
    for (global, chunk) in [("nosplice", BODY), ("nosplice", 4096), ("", BODY), ("", 4096)] {
        let sound = chunks(chunk);
        let answer = [&sound[..], b"5\r\nhello\r\nzz\r\n"].concat();
        seeds(3, &[], |seed| {
            let (_, got) = bring(seed, global, &answer, 0);
            assert!(got > sound.len() as u64, "{global} {chunk}: {got} bytes");
        });
    }
}
