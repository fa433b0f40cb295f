//! What a proxy does with one exchange: decode, settle the hop-by-hop fields, encode. Prints the bytes of both hops.
//!
//! `cargo run -p lb-http --example forward` shows one exchange; with a number it repeats it so many times silently, for
//! `valgrind --tool=callgrind`: the instructions of N runs less those of 0 runs, divided by N, are the cost of one exchange.
//! A second argument `small` takes the heads of a load generator and a bare origin instead of those of curl and nginx.

use lb_http::Head;
use lb_http::h1::{Decoded, Decoder, Encoder, Limits, ResponseTo};
use lb_http::hop::{self, Wanted};
use std::hint::black_box;

const REQUEST: &[u8] = b"GET /index.html HTTP/1.1\r\nHost: www.example.org\r\nUser-Agent: curl/7.88.1\r\nAccept: */*\r\n\r\n";
const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Sat, 15 Nov 2025 10:00:00 GMT\r\nContent-Type: text/html\r\n\
Content-Length: 100\r\nLast-Modified: Sat, 15 Nov 2025 09:00:00 GMT\r\nConnection: keep-alive\r\nETag: \"6918457e-64\"\r\n\
Accept-Ranges: bytes\r\n\r\n";

const SMALL_REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n";
const SMALL_RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\nContent-Type: text/plain\r\n\r\n";

struct Relay {
    limits: Limits,
    decoder: Decoder,
    request: Head,
    response: Head,
    to_server: Vec<u8>,
    to_client: Vec<u8>,
}

impl Relay {
    /// One exchange; false when one of the heads is incomplete.
    fn exchange(&mut self, request: &[u8], response: &[u8]) -> Result<bool, lb_http::h1::H1Error> {
        self.to_server.clear();
        self.to_client.clear();
        let Decoded::Complete { framing, .. } = self.decoder.decode_request(request, &self.limits, &mut self.request)? else {
            return Ok(false);
        };
        hop::set_request_connection(&mut self.request, Wanted::KeepAlive);
        Encoder::new().encode_request(&self.request, &mut self.to_server);

        let to = ResponseTo::request(self.request.method(), &framing);
        let Decoded::Complete { .. } = self.decoder.decode_response(response, &self.limits, to, &mut self.response)? else {
            return Ok(false);
        };
        hop::set_response_connection(&mut self.response, Wanted::KeepAlive, self.request.version());
        Encoder::new().encode_response(&self.response, &mut self.to_client);
        Ok(true)
    }
}

fn main() -> Result<(), lb_http::h1::H1Error> {
    let rounds = std::env::args().nth(1).and_then(|n| n.parse::<u32>().ok());
    let small = std::env::args().nth(2).is_some_and(|word| word == "small");
    let (request, response) = if small { (SMALL_REQUEST, SMALL_RESPONSE) } else { (REQUEST, RESPONSE) };
    let mut relay = Relay {
        limits: Limits::default(),
        decoder: Decoder::new(),
        request: Head::new(),
        response: Head::new(),
        to_server: Vec::new(),
        to_client: Vec::new(),
    };
    for _ in 0..rounds.unwrap_or(1) {
        relay.exchange(black_box(request), black_box(response))?;
        black_box((&relay.to_server, &relay.to_client));
    }
    if rounds.is_none() {
        println!("--- to the server\n{}", String::from_utf8_lossy(&relay.to_server));
        println!("--- to the client\n{}", String::from_utf8_lossy(&relay.to_client));
    }
    Ok(())
}
