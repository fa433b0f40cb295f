//! Tables that are made anew off the data path: until then nobody is named who has left, afterwards they are what they would have been.

use lb_balance::{Hash, Key, Kind, Lookup, Pick, Policy, ServerId, ServerSpec, Settings, State, Tried, Unlimited, Weight};

const SERVERS: u32 = 600;

fn kinds() -> [Kind; 3] {
    [Kind::Hash(Hash::map()), Kind::StaticRr, Kind::Hash(Hash { lookup: Lookup::Maglev { size: 20_011 }, ..Hash::maglev() })]
}

fn policies(kind: Kind) -> (Policy, Policy) {
    let specs: Vec<ServerSpec> =
        (0..SERVERS).map(|n| ServerSpec { backup: n % 50 == 49, ..ServerSpec::new(1 + (n * 37 % 100) as u16) }).collect();
    let late = Settings { late_tables: true, ..Settings::new(kind) };
    (Policy::new(Settings::new(kind), &specs).expect("sound"), Policy::new(late, &specs).expect("sound"))
}

fn pick(policy: &Policy, n: u32) -> Pick {
    policy.pick(Key::Hash(n.wrapping_mul(0x9e37_79b9)), &Unlimited, &Tried::new())
}

#[test]
fn never_a_server_that_has_left_and_in_the_end_the_same() {
    for kind in kinds() {
        let (at_once, late) = policies(kind);
        let mut state = 5u64;
        let mut next = |n: u32| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 33) as u32 % n
        };
        let mut was_late = 0;
        for round in 0..40 {
            for _ in 0..1 + next(3) {
                let id = ServerId(next(SERVERS));
                match next(3) {
                    0 => [&at_once, &late].map(|policy| policy.set_state(id, State::Usable)),
                    1 => [&at_once, &late].map(|policy| policy.set_state(id, State::Down)),
                    _ => [&at_once, &late].map(|policy| policy.set_weight(id, Weight::ZERO).expect("always taken")),
                };
            }
            was_late += usize::from(!late.is_settled());
            for n in 0..500 {
                let Pick::Server(id) = pick(&late, n) else { panic!("{kind:?}, round {round}: nobody") };
                assert!(late.state(id) == State::Usable && late.weight(id) != Weight::ZERO, "{kind:?}, round {round}: {id:?} has left");
            }
            if next(2) == 0 {
                late.settle();
                assert!(late.is_settled());
                if kind != Kind::StaticRr {
                    (0..500).for_each(|n| assert_eq!(pick(&late, n), pick(&at_once, n), "{kind:?}, round {round}"));
                }
            }
        }
        assert!(was_late > 10, "{kind:?}: tables were late {was_late} times");
    }
}

/// All whom the table names have left before it is made anew, and one has come.
#[test]
fn nobody_of_the_table_is_left() {
    for kind in kinds() {
        let (_, late) = policies(kind);
        late.set_state(ServerId(7), State::Down);
        late.settle();
        (0..SERVERS).filter(|&n| n != 7).for_each(|n| late.set_state(ServerId(n), State::Down));
        assert_eq!(pick(&late, 1), Pick::NoneUsable);
        late.set_state(ServerId(7), State::Usable);
        assert!(!late.is_settled());
        assert_eq!(pick(&late, 1), Pick::Server(ServerId(7)), "{kind:?}");
        late.settle();
        assert_eq!(pick(&late, 1), Pick::Server(ServerId(7)), "{kind:?}");
    }
}

/// Changes go on while a table is made.
#[test]
fn changes_while_a_table_is_made() {
    let (_, late) = policies(kinds()[0]);
    std::thread::scope(|scope| {
        let changing = scope.spawn(|| {
            for n in 0..2_000 {
                late.set_state(ServerId(n % 100), if n % 3 == 0 { State::Usable } else { State::Down });
                let Pick::Server(id) = pick(&late, n) else { panic!("nobody") };
                assert_eq!(late.state(id), State::Usable);
            }
        });
        while !changing.is_finished() {
            late.settle();
        }
    });
    late.settle();
    let (at_once, _) = policies(kinds()[0]);
    (0..SERVERS).for_each(|n| at_once.set_state(ServerId(n), late.state(ServerId(n))));
    (0..2_000).for_each(|n| assert_eq!(pick(&late, n), pick(&at_once, n)));
}
