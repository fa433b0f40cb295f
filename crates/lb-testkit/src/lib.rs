//! Test support: scripted clients and origins, peers, namespaces
