//! The crates, their floors, and the arrows between them. Arrows point down only; a new one is added here on purpose.

use crate::sh::{self, Failure, Result};
use std::path::{Path, PathBuf};

/// A crate: its floor, and the crates of ours that it may depend on.
struct Place {
    name: &'static str,
    floor: Floor,
    below: &'static [&'static str],
}

/// 0 pure, 1 OS, 2 configuration, 3 shells, then the programs. What is for development only stands beside them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Floor {
    Pure,
    Os,
    Config,
    Shell,
    Program,
    Development,
}

const PLACES: &[Place] = &[
    Place { name: "lb-http", floor: Floor::Pure, below: &[] },
    Place { name: "lb-expr", floor: Floor::Pure, below: &["lb-http"] },
    Place { name: "lb-balance", floor: Floor::Pure, below: &[] },
    Place { name: "lb-check", floor: Floor::Pure, below: &["lb-http", "lb-expr"] },
    Place { name: "vrrp", floor: Floor::Pure, below: &[] },
    Place { name: "lb-sys", floor: Floor::Os, below: &[] },
    Place { name: "lb-rt", floor: Floor::Os, below: &["lb-sys"] },
    Place { name: "lb-config", floor: Floor::Config, below: &["lb-http", "lb-expr", "lb-balance", "lb-check"] },
    Place {
        name: "lb-core",
        floor: Floor::Shell,
        below: &["lb-config", "lb-http", "lb-expr", "lb-balance", "lb-check", "lb-rt", "lb-sys"],
    },
    Place { name: "vrrp-daemon", floor: Floor::Shell, below: &["vrrp", "lb-check", "lb-http", "lb-rt", "lb-sys"] },
    Place { name: "vrrpd", floor: Floor::Program, below: &["vrrp-daemon", "vrrp", "lb-sys"] },
    Place { name: "lb", floor: Floor::Program, below: &["lb-core", "lb-config", "lb-rt", "lb-sys"] },
    Place { name: "lb-testkit", floor: Floor::Development, below: &[] },
    Place { name: "lb-benches", floor: Floor::Development, below: &["lb-balance", "lb-http", "lb-expr"] },
    Place { name: "xtask", floor: Floor::Development, below: &[] },
];

/// What a crate of floor 0 never depends on: sockets, runtimes, the system.
const NOT_PURE: &[&str] = &["mio", "libc", "rustix", "nix", "socket2", "tokio", "hyper", "crossbeam-channel", "getrandom"];

/// A package of the workspace.
pub struct Package {
    pub name: String,
    pub dir: PathBuf,
    depends: Vec<Dependency>,
}

struct Dependency {
    name: String,
    dev: bool,
}

/// Whether this is a crate of floor 0: no sockets, no clock, no environment; usable alone.
pub fn is_pure(name: &str) -> bool {
    place(name).is_some_and(|p| p.floor == Floor::Pure)
}

fn place(name: &str) -> Option<&'static Place> {
    PLACES.iter().find(|p| p.name == name)
}

/// The workspace as cargo sees it.
pub fn packages() -> Result<Vec<Package>> {
    let text = sh::output(&mut sh::cargo(&["metadata", "--no-deps", "--format-version", "1"]))?;
    parse(&text).ok_or_else(|| Failure("cargo metadata has an unknown form".into()))
}

fn parse(text: &str) -> Option<Vec<Package>> {
    let metadata: serde_json::Value = serde_json::from_str(text).ok()?;
    let package = |p: &serde_json::Value| {
        let depends = p["dependencies"].as_array()?.iter();
        let depends = depends.map(|d| Some(Dependency { name: d["name"].as_str()?.into(), dev: d["kind"].as_str() == Some("dev") }));
        Some(Package {
            name: p["name"].as_str()?.into(),
            dir: Path::new(p["manifest_path"].as_str()?).parent()?.into(),
            depends: depends.collect::<Option<_>>()?,
        })
    };
    metadata["packages"].as_array()?.iter().map(package).collect()
}

/// Arrows that nobody has drawn on purpose.
pub fn check(packages: &[Package]) -> Vec<String> {
    let mut findings = Vec::new();
    for package in packages {
        let Some(place) = place(&package.name) else {
            findings.push(format!("{}: stands on no floor (xtask/src/tidy/floors.rs)", package.name));
            continue;
        };
        for Dependency { name, dev } in &package.depends {
            let ours = packages.iter().any(|p| p.name == *name);
            let name = name.as_str();
            // A crate's tests may ask for a feature of the crate itself.
            let for_tests = *dev && (name == "lb-testkit" || name == place.name);
            if ours && !place.below.contains(&name) && !for_tests {
                findings.push(format!("{}: may not depend on {name}", place.name));
            }
            if place.floor == Floor::Pure && !dev && NOT_PURE.contains(&name) {
                findings.push(format!("{}: a crate of floor 0 may not depend on {name}", place.name));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, depends: &[(&str, bool)]) -> Package {
        let depends = depends.iter().map(|(name, dev)| Dependency { name: (*name).into(), dev: *dev }).collect();
        Package { name: name.into(), dir: PathBuf::new(), depends }
    }

    #[test]
    fn the_list_itself_points_down() {
        for place in PLACES {
            for below in place.below {
                let below = super::place(below).expect("a crate of the list");
                assert!(below.floor <= place.floor, "{} -> {}", place.name, below.name);
                assert!(!below.below.contains(&place.name), "{} <-> {}", place.name, below.name);
            }
        }
    }

    #[test]
    fn arrows() {
        let check = |name, depends: &[(&str, bool)]| {
            let mut all = vec![package(name, depends)];
            all.extend(depends.iter().filter(|(d, _)| place(d).is_some()).map(|(d, _)| package(d, &[])));
            check(&all).len()
        };
        assert_eq!(check("lb-core", &[("lb-rt", false), ("bytes", false), ("lb-testkit", true)]), 0);
        assert_eq!(check("lb-core", &[("lb-testkit", false)]), 1);
        assert_eq!(check("lb-http", &[("lb-rt", false)]), 1);
        assert_eq!(check("lb-http", &[("mio", false), ("libc", true)]), 1);
        assert_eq!(check("lb-rt", &[("lb-core", true), ("lb-rt", true)]), 1);
        assert_eq!(check("lb-rt", &[("lb-rt", false)]), 1);
        assert_eq!(check("lb-stray", &[]), 1);
    }
}
