//! hyper's runtime traits over this executor, so that hyper and its friends run inside the loop.

use crate::executor::with_current;
use crate::{Rt, Socket};
use hyper::rt::{Executor, Read, ReadBufCursor, Sleep, Timer, Write};
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// A socket with hyper's `Read` and `Write`.
pub struct HyperIo(pub Socket);

impl Read for HyperIo {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, mut buf: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        // hyper's cursor is uninitialised memory, which safe code cannot lend to the kernel: one copy.
        let mut pooled = self.0.rt().buffers().take();
        let room = buf.remaining().min(pooled.capacity());
        match self.0.poll_read(&mut pooled.spare()[..room]) {
            Poll::Ready(Ok(n)) => {
                pooled.commit(n);
                buf.put_slice(pooled.filled());
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(e)) => Poll::Ready(Err(e)),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl Write for HyperIo {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.0.poll_write(buf, false)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.0.shutdown_write())
    }
}

impl<F: Future<Output = ()> + 'static> Executor<F> for Rt {
    fn execute(&self, future: F) {
        self.spawn(future);
    }
}

/// hyper's timer; works inside tasks of an [`Rt`].
#[derive(Clone, Copy, Debug, Default)]
pub struct HyperTimer;

struct SleepUntil(Instant);

impl Future for SleepUntil {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        with_current(|rt| rt.poll_deadline(Some(self.0))).expect("a hyper timer runs inside Rt::block_on")
    }
}

impl Sleep for SleepUntil {}

impl Timer for HyperTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        let now = with_current(Rt::now).expect("a hyper timer runs inside Rt::block_on");
        Box::pin(SleepUntil(now + duration))
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        Box::pin(SleepUntil(deadline))
    }

    fn now(&self) -> Instant {
        with_current(Rt::now).expect("a hyper timer runs inside Rt::block_on")
    }
}
