//! HTTP/1 message heads, framing and smuggling rules, PROXY protocol: sans-I/O
