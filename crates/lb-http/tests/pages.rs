//! Built-in pages, errorfile and errorloc, as haproxy 2.6 was seen to send them.

use lb_http::errors::{self, ErrorFile, ErrorFileError, PAGES, page, reason};
use lb_http::h1::Encoder;
use lb_http::{Head, Version};

fn written(status: u16, client: Version, keep_alive: bool, without_body: bool) -> String {
    let mut out = Vec::new();
    page(status).unwrap().write(client, keep_alive, without_body, &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn every_status_has_its_page() {
    let all: Vec<u16> = PAGES.iter().map(|p| p.status).collect();
    assert_eq!(all, [200, 400, 401, 403, 404, 405, 407, 408, 410, 413, 421, 422, 425, 429, 500, 501, 502, 503, 504]);
    // Lengths that haproxy announced for them.
    let lengths: Vec<usize> = PAGES.iter().map(|p| p.body.len()).collect();
    assert_eq!(lengths, [58, 90, 112, 93, 83, 146, 112, 110, 114, 106, 104, 116, 80, 117, 97, 136, 107, 107, 92]);
    assert!(page(418).is_none());
}

#[test]
fn pages_byte_for_byte() {
    assert_eq!(
        written(503, Version::Http11, true, false),
        "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 107\r\ncache-control: no-cache\r\ncontent-type: text/html\r\n\r\n\
         <html><body><h1>503 Service Unavailable</h1>\nNo server is available to handle this request.\n</body></html>\n"
    );
    assert_eq!(
        written(502, Version::Http10, true, false),
        "HTTP/1.1 502 Bad Gateway\r\ncontent-length: 107\r\ncache-control: no-cache\r\ncontent-type: text/html\r\n\
         connection: keep-alive\r\n\r\n\
         <html><body><h1>502 Bad Gateway</h1>\nThe server returned an invalid or incomplete response.\n</body></html>\n"
    );
    assert_eq!(
        written(400, Version::Http11, true, true),
        "HTTP/1.1 400 Bad request\r\ncontent-length: 90\r\ncache-control: no-cache\r\ncontent-type: text/html\r\nconnection: close\r\n\r\n"
    );
    assert_eq!(
        written(501, Version::Http11, false, false),
        "HTTP/1.1 501 Not Implemented\r\ncontent-length: 136\r\ncache-control: no-cache\r\ncontent-type: text/html\r\nconnection: close\r\n\r\n\
         <html><body><h1>501 Not Implemented</h1>\n.The server does not support the functionality required to fulfill the request.\n</body></html>\n"
    );
    let early = |status| {
        let mut out = Vec::new();
        page(status).unwrap().write_early(&mut out);
        String::from_utf8(out).unwrap()
    };
    assert_eq!(
        early(400),
        "HTTP/1.1 400 Bad request\r\nContent-length: 90\r\nCache-Control: no-cache\r\nConnection: close\r\nContent-Type: text/html\r\n\r\n\
         <html><body><h1>400 Bad request</h1>\nYour browser sent an invalid request.\n</body></html>\n"
    );
    assert_eq!(
        early(408),
        "HTTP/1.1 408 Request Time-out\r\nContent-length: 110\r\nCache-Control: no-cache\r\nConnection: close\r\nContent-Type: text/html\r\n\r\n\
         <html><body><h1>408 Request Time-out</h1>\nYour browser didn't send a complete request in time.\n</body></html>\n"
    );
    assert_eq!(
        early(422),
        "HTTP/1.1 422 Unprocessable Content\r\nContent-length: 116\r\nCache-Control: no-cache\r\nContent-Type: text/html\r\n\r\n\
         <html><body><h1>422 Unprocessable Content</h1>\nThe server cannot process the contained instructions.\n</body></html>\n"
    );
}

#[test]
fn a_page_as_a_head_is_the_same_page() {
    for p in PAGES.iter().filter(|p| !p.closes()) {
        let (mut head, mut out) = (Head::new(), Vec::new());
        p.to_head(&mut head);
        Encoder::new().encode_response(&head, &mut out);
        out.extend_from_slice(p.body.as_bytes());
        assert_eq!(String::from_utf8(out).unwrap(), written(p.status, Version::Http11, true, false));
    }
}

fn custom(file: &[u8], client: Version, keep_alive: bool) -> String {
    let Ok(ErrorFile::Response(response)) = ErrorFile::parse(file) else { panic!("{:?}", ErrorFile::parse(file)) };
    let mut out = Vec::new();
    response.write(client, keep_alive, false, &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn errorfiles() {
    for (file, want) in [
        (
            "HTTP/1.0 503 Foo Bar\nX-Foo:  bar \nContent-Type: text/plain\n\nbody\nhere\n",
            "HTTP/1.0 503 Foo Bar\r\nx-foo: bar\r\ncontent-type: text/plain\r\n\r\nbody\nhere\n",
        ),
        ("HTTP/1.1 503 x\r\n\r\n", "HTTP/1.1 503 x\r\nconnection: close\r\n\r\n"),
        ("HTTP/1.1 503\n\nab", "HTTP/1.1 503 \r\nconnection: close\r\n\r\nab"),
        (
            "HTTP/1.1 200 Hidden\r\nX-Foo: bar\r\nConnection: close\r\n\r\nfour",
            "HTTP/1.1 200 Hidden\r\nx-foo: bar\r\nconnection: close\r\n\r\nfour",
        ),
        ("HTTP/1.1 503 x\r\nContent-Length: 2\r\n\r\nab", "HTTP/1.1 503 x\r\ncontent-length: 2\r\n\r\nab"),
    ] {
        assert_eq!(custom(file.as_bytes(), Version::Http11, true), want, "{file:?}");
    }
    assert_eq!(
        custom(b"HTTP/1.1 503 x\r\nContent-Length: 2\r\n\r\nab", Version::Http11, false),
        "HTTP/1.1 503 x\r\ncontent-length: 2\r\nconnection: close\r\n\r\nab"
    );
    assert!(matches!(ErrorFile::parse(b""), Ok(ErrorFile::Silent)));
    for (file, error) in [
        ("HTTP/1.1 503 x\r\nContent-Length: 9\r\n\r\nab", ErrorFileError::Length { body: 2, announced: 9 }),
        ("HTTP/1.1 503 x\r\nContent-Length: 1\r\n\r\nab", ErrorFileError::Length { body: 2, announced: 1 }),
        ("HTTP/1.1 503 x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", ErrorFileError::Chunked),
        ("HTTP/1.1 503 x\r\nX : y\r\n\r\nab", ErrorFileError::Head(17)),
        ("garbage", ErrorFileError::Head(0)),
        ("HTTP/1.1 503 x\r\nX: y\r\n", ErrorFileError::Head(-2)),
        ("HTTP/1.1 100 x\r\n\r\nab", ErrorFileError::Status(100)),
        ("HTTP/1.1 101 x\r\n\r\nab", ErrorFileError::Status(101)),
    ] {
        assert_eq!(ErrorFile::parse(file.as_bytes()).err(), Some(error), "{file:?}");
    }
    // The texts are haproxy's.
    assert_eq!(
        ErrorFileError::Length { body: 2, announced: 9 }.to_string(),
        "payload size does not match the announced content-length (2 != 9)"
    );
    assert_eq!(ErrorFileError::Head(17).to_string(), "unable to parse headers (error offset: 17)");
}

#[test]
fn errorlocs() {
    for (status, want) in [
        (302, "HTTP/1.1 302 Found\r\ncache-control: no-cache\r\ncontent-length: 0\r\nlocation: /l\r\n\r\n"),
        (303, "HTTP/1.1 303 See Other\r\ncache-control: no-cache\r\ncontent-length: 0\r\nlocation: /l\r\n\r\n"),
    ] {
        let (mut head, mut out) = (Head::new(), Vec::new());
        errors::errorloc(&mut head, status, b"/l");
        Encoder::new().encode_response(&head, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), want);
    }
}

#[test]
fn reasons() {
    for (status, want) in [
        (200, "OK"),
        (219, "Success"),
        (302, "Moved Temporarily"),
        (399, "Redirection"),
        (400, "Bad Request"),
        (413, "Request Entity Too Large"),
        (419, "Client Error"),
        (502, "Bad Gateway or Proxy Error"),
        (599, "Server Error"),
        (99, ""),
    ] {
        assert_eq!(reason(status), want);
    }
}
