//! `healthcheck` sections on real sockets: servers of one backend that are checked in different ways, beside backends that have the
//! same checks as their `option`. The same lines, the same states.
#![allow(clippy::disallowed_methods)] // Tests live in real time.

mod world;

use lb_testkit::ports::free_tcp;
use lb_testkit::wait;
use world::{Origin, Running, without_duration};

/// What is checked, by the name of the server that has it.
const CHECKS: [(&str, &str); 3] = [
    ("web", "httpchk\n http-check send meth GET uri /health\n http-check expect status 200"),
    ("raw", "tcp-check\n tcp-check send \"GET /health HTTP/1.0\\r\\n\\r\\n\"\n tcp-check expect rstring \"^HTTP/1.. 200\""),
    ("soft", "httpchk GET /health\n http-check disable-on-404\n http-check send-state"),
];

/// Lines about the server `name` of `backend`, without what differs between a backend of several servers and one of its own.
fn lines(proxy: &Running, backend: &str, name: &str) -> Vec<String> {
    let whole = format!("{backend}/{name}");
    let about = proxy.messages().into_iter().filter(|(.., text)| text.contains(&format!(" {whole} ")));
    about
        .map(|(_, severity, text)| {
            let text = without_duration(&text).replace(&whole, name);
            // How many are left is the backend's affair.
            let said =
                text.split_once(" active and ").map_or(text.as_str(), |(said, _)| said.trim_end_matches(|c: char| c.is_ascii_digit()));
            format!("{severity:?}: {said}")
        })
        .collect()
}

#[test]
fn servers_of_one_backend_are_checked_in_different_ways() {
    let (origin, port) = (Origin::start("a"), free_tcp());
    let at = origin.port;
    let mut text = format!(
        "defaults\n mode http\n timeout connect 5s\n timeout client 20s\n timeout server 20s\n timeout check 20s\n option log-health-checks\n \
         default-server inter 100 rise 1 fall 1\nfrontend f\n bind 127.0.0.1:{port}\n default_backend named\nbackend named\n"
    );
    for (name, _) in CHECKS {
        text += &format!(" server {name} 127.0.0.1:{at} check healthcheck {name}\n");
    }
    // As their backend says: a connection is enough.
    text += &format!(" server plain 127.0.0.1:{at} check\n");
    for (name, check) in CHECKS {
        text += &format!("healthcheck {name}\n type {check}\nbackend own-{name}\n option {check}\n server {name} 127.0.0.1:{at} check\n");
    }
    let proxy = Running::start(&text, 2);
    let code = |backend: &str, name: &str| {
        let backend = proxy.process.topology.backends.iter().find(|b| b.name() == backend).unwrap();
        let server = backend.servers().iter().find(|server| server.name() == name).unwrap().clone();
        server.health.lock().unwrap().status().code()
    };
    for (status, codes) in
        [(200, ["L7OK", "L7OK", "L7OK"]), (404, ["L7STS", "L7RSP", "L7OKC"]), (500, ["L7STS", "L7RSP", "L7STS"]), (200, ["L7OK"; 3])]
    {
        origin.set_status(status);
        for ((name, _), expected) in CHECKS.iter().zip(codes) {
            for backend in ["named", &format!("own-{name}")] {
                wait::must(&format!("{backend}/{name} is {expected} at {status}"), || code(backend, name) == expected);
            }
        }
        assert!(["L4OK", "INI"].contains(&code("named", "plain")));
    }
    for (name, _) in CHECKS {
        let own = format!("own-{name}");
        wait::must(&format!("the same is told of {name}"), || lines(&proxy, "named", name) == lines(&proxy, &own, name));
        let told = lines(&proxy, "named", name);
        assert!(told.len() >= 4 && told.iter().any(|line| line.contains("is DOWN")), "{told:?}");
    }
    assert!(lines(&proxy, "named", "plain").iter().all(|line| line.contains("Layer4 check passed")));
    let heads = origin.heads();
    let states = |head: &&Vec<u8>| String::from_utf8_lossy(head).to_ascii_lowercase().contains("x-haproxy-server-state: ");
    let of = |backend: &str| {
        heads.iter().filter(states).filter(|head| String::from_utf8_lossy(head).contains(&format!("name={backend}/soft;"))).count()
    };
    assert!(of("named") > 0 && of("own-soft") > 0);
}
