//! hyper's HTTP/1 server and client inside the loop.

mod common;

use bytes::Bytes;
use common::*;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::{Request, Response, StatusCode};
use lb_rt::{HyperIo, HyperTimer};
use std::cell::Cell;
use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

/// A body of one piece.
struct Whole(Option<Bytes>);

impl Body for Whole {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.take().map(|b| Ok(Frame::data(b))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.as_ref().map_or(0, |b| b.len() as u64))
    }
}

async fn read_body(mut body: Incoming) -> hyper::Result<Vec<u8>> {
    let mut all = Vec::new();
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        if let Ok(data) = frame?.into_data() {
            all.extend_from_slice(&data);
        }
    }
    Ok(all)
}

async fn echo(request: Request<Incoming>) -> hyper::Result<Response<Whole>> {
    let path = request.uri().path().to_owned();
    let body = read_body(request.into_body()).await?;
    let status = if path == "/gone" { StatusCode::GONE } else { StatusCode::OK };
    let mut response = Response::new(Whole(Some(body.into())));
    *response.status_mut() = status;
    Ok(response)
}

#[test]
fn requests_over_kept_connections() {
    run(|rt| async move {
        let (listener, addr) = listen(&rt);
        let rt2 = rt.clone();
        let acceptor = rt.spawn(async move {
            loop {
                let socket = accept(&listener).await.expect("accept");
                let mut server = hyper::server::conn::http1::Builder::new();
                server.timer(HyperTimer);
                let connection = server.serve_connection(HyperIo(socket), hyper::service::service_fn(echo));
                rt2.spawn(async move { connection.await.expect("served") });
            }
        });
        let done = Rc::new(Cell::new(0));
        for client in 0..20u64 {
            let (rt2, addr, done) = (rt.clone(), addr.clone(), done.clone());
            rt.spawn(async move {
                let socket = connect(&rt2, &addr).await.expect("connect");
                let (mut sender, connection) = hyper::client::conn::http1::handshake(HyperIo(socket)).await.expect("handshake");
                rt2.spawn(async move { connection.await.expect("ends") });
                for round in 0..10u64 {
                    let body: Vec<u8> = (0..client * 1000 + round).map(|i| byte(client, i)).collect();
                    let request = Request::post("/gone").header("host", "x").body(Whole(Some(body.clone().into()))).expect("a request");
                    sender.ready().await.expect("open");
                    let response = sender.send_request(request).await.expect("an answer");
                    assert_eq!(response.status(), StatusCode::GONE);
                    assert_eq!(read_body(response.into_body()).await.expect("a body"), body);
                }
                done.set(done.get() + 1);
            });
        }
        let watch = done.clone();
        until(&rt, move || watch.get() == 20).await;
        rt.kill(acceptor);
        let rt2 = rt.clone();
        until(&rt, move || rt2.live_tasks() == 1).await;
        assert_eq!((rt.casualties(), rt.open_sockets()), Default::default());
    });
}

#[test]
fn its_timers_are_those_of_the_loop() {
    run(|rt| async move {
        let (client, server) = pair(&rt).await;
        let mut builder = hyper::server::conn::http1::Builder::new();
        builder.timer(HyperTimer).header_read_timeout(Duration::from_millis(30));
        let start = rt.now();
        // Half a head and no more.
        client.write_all(b"GET / HT").await.expect("write");
        let result = builder.serve_connection(HyperIo(server), hyper::service::service_fn(echo)).await;
        assert!(result.is_err_and(|e| e.is_timeout()));
        let took = rt.now() - start;
        assert!(took >= Duration::from_millis(30) && took < Duration::from_millis(500), "{took:?}");
    });
}
