//! haproxy.cfg to a resolved configuration, with all errors at once
