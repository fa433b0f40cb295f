//! An echo server on one loop, and a client that talks to it.
//!
//! `cargo run -p lb-rt --example echo` shows one conversation; with an address (`-- 127.0.0.1:7007`) it serves until it is
//! interrupted: try `nc 127.0.0.1 7007`.

use lb_rt::{Bind, Listener, Rt, Socket};
use lb_sys::Addr;
use lb_sys::socket::SockOpt;
use std::error::Error;
use std::future::poll_fn;
use std::io;

fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1);
    let serve = address.is_some();
    let addr = Addr::Ip(address.as_deref().unwrap_or("127.0.0.1:0").parse()?);
    let rt = Rt::new()?;
    let listener = Listener::bind(&rt, &addr, &Bind { options: vec![SockOpt::ReuseAddr(true)], backlog: 128 })?;
    let addr = listener.local_addr()?;
    println!("echo on {addr}");
    let server = rt.spawn(accept(rt.clone(), listener));
    let main = rt.clone();
    rt.block_on(async move {
        if serve {
            // The accepting task ends only with the process.
            std::future::pending::<()>().await;
        }
        let answer = talk(&main, &addr).await;
        main.kill(server);
        answer
    })??;
    // Tasks and loop hold each other; this lets go of both.
    rt.kill_all();
    Ok(())
}

async fn accept(rt: Rt, listener: Listener) {
    loop {
        match poll_fn(|_| listener.poll_accept()).await {
            Ok((socket, from)) => {
                println!("{from} has come");
                rt.spawn(async move {
                    if let Err(e) = echo(&socket).await {
                        println!("{from}: {e}");
                    }
                });
            }
            // No descriptor left, say: what is open goes on, and the next try comes later.
            Err(e) => {
                println!("accept: {e}");
                rt.sleep(std::time::Duration::from_millis(100)).await;
            }
        }
    }
}

async fn echo(socket: &Socket) -> io::Result<()> {
    loop {
        // Waiting holds no buffer: one is taken when there is something to read, and given back when it has been answered.
        poll_fn(|_| socket.poll_readable()).await?;
        let mut buffer = socket.rt().buffers().take();
        match socket.read(buffer.spare()).await? {
            0 => return socket.shutdown_write(),
            n => buffer.commit(n),
        }
        socket.write_all(buffer.filled()).await?;
    }
}

async fn talk(rt: &Rt, addr: &Addr) -> io::Result<()> {
    let socket = Socket::connect(rt, addr, None, &[SockOpt::NoDelay(true)])?;
    socket.connected().await?;
    socket.write_all(b"hello, loop").await?;
    socket.shutdown_write()?;
    let mut answer = Vec::new();
    let mut buf = [0; 64];
    loop {
        match socket.read(&mut buf).await? {
            0 => break,
            n => answer.extend_from_slice(&buf[..n]),
        }
    }
    println!("the answer: {}", String::from_utf8_lossy(&answer));
    Ok(())
}
