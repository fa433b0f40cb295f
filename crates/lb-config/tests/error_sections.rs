//! Replies out of `http-errors` sections: what a section has not is told, wherever the section stands.

use lb_config::{LoadError, Loader, Severity, Source, parse};

struct Pages;

impl Loader for Pages {
    fn load(&self, path: &str) -> Result<Vec<u8>, LoadError> {
        match path {
            "503.http" => Ok(b"HTTP/1.0 503 Service Unavailable\r\nContent-Type: text/plain\r\n\r\nlater".to_vec()),
            _ => Err(LoadError::NotFound),
        }
    }
}

/// Errors and warnings of a proxy with this line.
fn told(line: &str) -> Vec<(Severity, String)> {
    let text = format!(
        "defaults\n mode http\n timeout client 1s\n timeout connect 1s\n timeout server 1s\n\
         listen a\n bind :8000\n {line}\n server s 127.0.0.1:1\nhttp-errors e\n errorfile 503 503.http\n"
    );
    let (_, diagnostics) = parse(&Source::new().file("t.cfg", text.as_bytes()).loader(&Pages));
    let serious = diagnostics.into_iter().filter(|one| matches!(one.severity, Severity::Error | Severity::Warning));
    serious.map(|one| (one.severity, one.message)).collect()
}

#[test]
fn replies_and_their_statuses() {
    for good in ["errorfiles e", "errorfiles e 503", "http-request deny deny_status 503 errorfiles e", "http-error status 503 errorfiles e"]
    {
        assert_eq!(told(good), [], "{good}");
    }
    for (line, severity, says) in [
        ("http-request deny errorfiles e", Severity::Warning, "status 403 of this reply is not declared in the http-errors section 'e'"),
        ("http-response return status 500 errorfiles e", Severity::Warning, "status 500 of this reply"),
        ("errorfiles e 404", Severity::Warning, "status 404 is not declared"),
        ("http-request deny errorfiles none", Severity::Error, "unknown http-errors section 'none'"),
    ] {
        let told = told(line);
        assert!(told.len() == 1 && told[0].0 == severity && told[0].1.contains(says), "{line}: {told:?}");
    }
}
