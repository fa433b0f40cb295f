//! Names that iproute2 gives to numbers of tables, protocols, realms, types of service and groups of interfaces.

use super::text::Source;
use std::collections::HashMap;
use std::path::Path;

/// Later directories overrule.
const DIRECTORIES: [&str; 2] = ["/usr/share/iproute2", "/etc/iproute2"];
/// Lines of a file of names that are read.
const MAX_LINES: usize = 10_000;

/// Names of each kind.
#[derive(Debug, Default)]
pub struct Names {
    tables: HashMap<String, u32>,
    protocols: HashMap<String, u32>,
    realms: HashMap<String, u32>,
    services: HashMap<String, u32>,
    groups: HashMap<String, u32>,
}

impl Names {
    /// The system's own files, and the names that hold without them.
    pub fn load(source: &dyn Source) -> Names {
        let own = |pairs: &[(&str, u32)]| pairs.iter().map(|(name, number)| (name.to_string(), *number)).collect::<HashMap<_, _>>();
        let read = |file: &str, mut names: HashMap<String, u32>| {
            for directory in DIRECTORIES {
                let bytes = source.read(&Path::new(directory).join(file)).unwrap_or_default();
                for line in String::from_utf8_lossy(&bytes).lines().take(MAX_LINES) {
                    let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
                    names.extend(words.next().and_then(number).zip(words.next()).map(|(number, name)| (name.to_string(), number)));
                }
            }
            names
        };
        Names {
            tables: read("rt_tables", own(&[("local", 255), ("main", 254), ("default", 253)])),
            protocols: read(
                "rt_protos",
                own(&[("redirect", 1), ("kernel", 2), ("boot", 3), ("static", 4), ("bird", 12), ("keepalived", 18)]),
            ),
            realms: read("rt_realms", own(&[("cosmos", 0)])),
            services: read("rt_dsfield", HashMap::new()),
            groups: read("group", own(&[("default", 0)])),
        }
    }

    /// A routing table.
    pub fn table(&self, text: &str) -> Result<u32, String> {
        of(&self.tables, text, u32::MAX).ok_or_else(|| format!("Routing table {text} not found; write its number, or name it in rt_tables"))
    }

    /// A group of interfaces.
    pub fn group(&self, text: &str) -> Result<u32, String> {
        of(&self.groups, text, u32::MAX)
            .ok_or_else(|| format!("group of interfaces {text} is neither a number nor a name of iproute2's group"))
    }

    /// Who makes a route or a rule.
    pub fn protocol(&self, text: &str) -> Result<u8, String> {
        let found = of(&self.protocols, text, 255).and_then(|n| u8::try_from(n).ok());
        found.ok_or_else(|| format!("protocol {text} is neither a number up to 255 nor a name of rt_protos"))
    }

    /// A type of service. Numbers are hexadecimal, as iproute2 has them.
    pub fn service(&self, text: &str) -> Result<u8, String> {
        let hex = text.strip_prefix("0x").unwrap_or(text);
        let found = self.services.get(text).copied().or_else(|| u32::from_str_radix(hex, 16).ok());
        found
            .and_then(|n| u8::try_from(n).ok())
            .ok_or_else(|| format!("tos {text} is neither a hexadecimal number up to ff nor a name of rt_dsfield"))
    }

    /// `[FROM/]TO`: in the upper and the lower half.
    pub fn realms(&self, text: &str) -> Result<u32, String> {
        let (from, to) = text.split_once('/').unwrap_or(("0", text));
        let found = of(&self.realms, from, 0xffff).zip(of(&self.realms, to, 0xffff));
        found
            .map(|(from, to)| from << 16 | to)
            .ok_or_else(|| format!("realms {text} is not [FROM/]TO, of numbers up to 65535 or names of rt_realms"))
    }
}

fn of(names: &HashMap<String, u32>, text: &str, most: u32) -> Option<u32> {
    names.get(text).copied().or_else(|| number(text)).filter(|n| *n <= most)
}

/// Decimal, or hexadecimal with `0x`.
pub fn number(text: &str) -> Option<u32> {
    match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}
