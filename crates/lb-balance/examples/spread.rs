//! How each scheduler spreads ten thousand requests over four servers, one of which goes down half-way.
//!
//! `cargo run -p lb-balance --example spread`

use lb_balance::{Hash, Key, Kind, LoadView, Policy, ServerId, ServerSpec, Settings, State, Tried};
use std::cell::Cell;

/// A proxy's books: streams per server, of which each has room for 50.
struct Books([Cell<u32>; 4]);

impl LoadView for Books {
    fn is_full(&self, id: ServerId) -> bool {
        self.load(id) >= 50
    }

    fn load(&self, id: ServerId) -> u32 {
        self.0[id.0 as usize].get()
    }

    fn total(&self) -> u32 {
        self.0.iter().map(Cell::get).sum()
    }
}

fn main() -> Result<(), lb_balance::PolicyError> {
    let servers = [ServerSpec::new(10), ServerSpec::new(20), ServerSpec::new(30), ServerSpec::new(40)];
    let kinds = [
        Kind::RoundRobin,
        Kind::StaticRr,
        Kind::LeastConn,
        Kind::First,
        Kind::Random { draws: 2 },
        Kind::Hash(Hash::map()),
        Kind::Hash(Hash::ring()),
    ];
    for kind in kinds {
        let policy = Policy::new(Settings::new(kind), &servers)?;
        let books = Books(Default::default());
        let mut served = [0u32; 4];
        // The 80 youngest requests are still under way; the client's address tells one from another.
        let mut under_way = std::collections::VecDeque::new();
        for n in 0..10_000u32 {
            if n == 5_000 {
                policy.set_state(ServerId(3), State::Down);
            }
            if under_way.len() == 80
                && let Some(id) = under_way.pop_front()
            {
                let ServerId(at) = id;
                books.0[at as usize].update(|load| load - 1);
                policy.released(id);
            }
            let scattered = n.wrapping_mul(2_654_435_761);
            let key = match kind {
                Kind::Hash(_) => Key::Addr(std::net::Ipv4Addr::from(scattered).into()),
                _ => Key::Random(u64::from(scattered)),
            };
            if let Some(id) = policy.assign(key, &books, &Tried::new()).server() {
                books.0[id.0 as usize].update(|load| load + 1);
                served[id.0 as usize] += 1;
                under_way.push_back(id);
            }
        }
        println!("{:24} {served:?}", format!("{kind:?}"));
    }
    Ok(())
}
