//! `use_vmac`: which virtual interfaces a file asks for, and what goes over them.

use super::arg::Arg;
use super::diag::Diagnostics;
use super::model::{Conf, InstanceConf, LinkConf, VmacConf};
use std::collections::HashSet;
use std::net::IpAddr;
use vrrp::Family;

/// The longest name of an interface.
const MAX_NAME: usize = 15;
/// Where the addresses of virtual routers begin, before the family and the id (RFC 9568 §7.3).
const PREFIX: [u8; 4] = [0, 0, 0x5e, 0];

/// Whether the kernel takes it as the name of an interface.
pub fn is_name(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_graphic() && c != '/' && c != ':';
    (1..=MAX_NAME).contains(&text.len()) && text != "." && text != ".." && text.chars().all(plain)
}

/// `use_vmac [NAME] [MAC]`, in either order.
pub fn use_vmac(arg: &mut Arg<'_>) -> VmacConf {
    let mut vmac = VmacConf { place: arg.node.place.clone(), name: None, mac: None };
    for word in &arg.node.words[1..] {
        let text = word.text.as_str();
        if text.contains(':') {
            match mac(text) {
                Some(bytes) if bytes[0] & 1 == 1 => {
                    arg.warn(format!("VMAC MAC address is multicast {text} - ignoring; its first octet is even"))
                }
                Some(bytes) if bytes.starts_with(&PREFIX) && bytes.len() == 6 => {
                    arg.warn(format!("VMAC MAC address not allowed to be RFC5798 address ({text}) - ignoring; without one it is that"))
                }
                Some(bytes) => vmac.mac = Some(bytes),
                None => {
                    arg.warn(format!("VMAC invalid MAC address {text} - ignored; write six octets, or five before the virtual router id"))
                }
            }
        } else if vmac.name.is_some() {
            arg.warn(format!("VMAC interface name already specified; '{text}' is left out"));
        } else if is_name(text) {
            vmac.name = Some(text.into());
        } else {
            arg.warn(format!("VMAC interface name '{text}' too long or invalid characters - ignoring; it has up to {MAX_NAME} characters"));
        }
    }
    vmac
}

/// Five or six octets.
fn mac(text: &str) -> Option<Vec<u8>> {
    let octet = |part: &str| u8::from_str_radix(part, 16).ok().filter(|_| part.len() <= 2);
    let bytes = text.split(':').map(octet).collect::<Option<Vec<u8>>>()?;
    (5..=6).contains(&bytes.len()).then_some(bytes)
}

/// Decides for each instance and each address over which interface it goes, and which virtual interfaces that takes.
pub(super) fn resolve(conf: &mut Conf, diagnostics: &mut Diagnostics) {
    let prefix = conf.global.vmac_prefix.clone().unwrap_or_else(|| "vrrp".into());
    let prefix_of_addresses = conf.global.vmac_addr_prefix.clone().unwrap_or_else(|| prefix.clone());
    let mut names = Names(HashSet::new());
    let others: HashSet<String> = conf.instances.iter().filter_map(|it| it.interface.clone()).collect();
    for it in &mut conf.instances {
        check(it, &others, &mut names, diagnostics);
    }
    for (at, it) in conf.instances.iter_mut().enumerate() {
        let first = conf.links.len();
        it.wire = it.interface.clone();
        let own = it.vmac.clone().zip(it.interface.clone());
        if let Some((vmac, base)) = &own {
            let name = vmac.name.clone().unwrap_or_else(|| names.take(&prefix, it.vrid.unwrap_or_default()));
            conf.links.push(link(it, at, name.clone(), base.clone(), it.family()));
            if !it.vmac_xmit_base {
                it.wire = Some(name);
            }
        }
        let mut all = std::mem::take(&mut it.addresses);
        let mut excluded = std::mem::take(&mut it.excluded);
        for address in all.iter_mut().chain(&mut excluded) {
            let base = address.dev.clone().or_else(|| it.interface.clone()).or_else(|| conf.global.default_interface.clone());
            let Some(base) = base else { continue };
            let family = Family::of(address.address);
            let at_home = Some(&base) == it.interface.as_ref();
            let same = at_home && family == it.family();
            let apart = address.use_vmac || it.use_vmac_addr && !same;
            let link = if own.is_some() && at_home && (same || !apart) {
                conf.links.get_mut(first)
            } else if apart {
                let found = conf.links[first..].iter().position(|l| l.of_address && l.base == base && l.family == family);
                let which = found.map_or(conf.links.len(), |i| first + i);
                if found.is_none() {
                    let name = names.take(&prefix_of_addresses, it.vrid.unwrap_or_default());
                    conf.links.push(LinkConf { of_address: true, ..link(it, at, name, base.clone(), family) });
                }
                conf.links.get_mut(which)
            } else {
                None
            };
            address.on = Some(match link {
                Some(link) => {
                    link.ipv6 |= family == Family::V6;
                    link.name.clone()
                }
                None => base,
            });
        }
        (it.addresses, it.excluded) = (all, excluded);
    }
}

/// `others` are interfaces that are there, since something goes over them.
fn check(it: &mut InstanceConf, others: &HashSet<String>, names: &mut Names, diagnostics: &mut Diagnostics) {
    let Some(vmac) = &mut it.vmac else {
        if it.vmac_xmit_base {
            diagnostics.warn(&it.place, format!("({}) vmac_xmit_base is only valid with a vmac; write use_vmac, or take it away", it.name));
            it.vmac_xmit_base = false;
        }
        return;
    };
    if let Some(name) = vmac.name.take() {
        if others.contains(&name) {
            let text = format!("({}) interface {name} already exists and is not a private macvlan; ignoring vmac if_name", it.name);
            diagnostics.warn(&vmac.place, text);
        } else if names.0.insert(name.clone()) {
            vmac.name = Some(name);
        } else {
            let text = format!("({}) another VRRP instance is already using {name} - ignoring name; give each its own", it.name);
            diagnostics.warn(&vmac.place, text);
        }
    }
    if !it.peers.is_empty() && !it.vmac_xmit_base {
        diagnostics.warn(&vmac.place, format!("({}) unicast with use_vmac requires vmac_xmit_base - setting; write it, too", it.name));
        it.vmac_xmit_base = true;
    }
}

fn link(it: &InstanceConf, instance: usize, name: String, base: String, family: Family) -> LinkConf {
    let vrid = it.vrid.unwrap_or_default();
    let [a, b, c, d] = PREFIX;
    let mut mac = [a, b, c, d, if family == Family::V4 { 1 } else { 2 }, vrid];
    if let Some(own) = it.vmac.as_ref().and_then(|v| v.mac.as_ref()) {
        mac[5] = vrid;
        mac.iter_mut().zip(own).for_each(|(to, from)| *to = *from);
    }
    let place = it.vmac.as_ref().map_or(&it.place, |v| &v.place).clone();
    LinkConf { place, instance, name, base, mac, family, ipv6: family == Family::V6, of_address: false }
}

/// Names that are taken.
struct Names(HashSet<String>);

impl Names {
    /// `vrrp.51`, then `vrrp1.51` and so on.
    fn take(&mut self, prefix: &str, vrid: u8) -> String {
        let mut name = format!("{prefix}.{vrid}");
        let mut number = 0u32;
        while !self.0.insert(name.clone()) {
            number += 1;
            name = format!("{prefix}{number}.{vrid}");
        }
        name
    }
}

impl LinkConf {
    /// Whether IPv6 addresses that follow the base's are put on it: adverts of IPv6 that go over it come from them.
    pub fn takes_link_local(&self) -> bool {
        self.family == Family::V6
    }

    /// Whether what is made for one does for the other.
    pub fn is_same(&self, other: &LinkConf) -> bool {
        (&self.base, self.mac, self.family, self.ipv6) == (&other.base, other.mac, other.family, other.ipv6)
    }
}

impl Conf {
    /// What `place` names as an interface is one of those made here.
    pub fn is_link(&self, name: &str) -> bool {
        self.links.iter().any(|l| l.name == name)
    }

    /// All addresses that `no_accept` forbids to be talked to, with the interface of the link-local ones.
    pub fn unaccepted(&self) -> Vec<(IpAddr, Option<&str>)> {
        let strict = self.instances.iter().filter(|i| i.no_accept && i.priority != Some(vrrp::OWNER));
        let all = strict.flat_map(|i| i.addresses.iter().chain(&i.excluded));
        let link_local = |ip: &IpAddr| matches!(ip, IpAddr::V6(v6) if v6.is_unicast_link_local());
        all.map(|a| (a.address, a.on.as_deref().filter(|_| link_local(&a.address)))).collect()
    }
}
