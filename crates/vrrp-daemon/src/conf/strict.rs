//! `vrrp_strict`, `strict_mode`: what the RFCs do not know is left out, and said.

use super::diag::Diagnostics;
use super::model::{Global, InstanceConf};
use std::net::IpAddr;
use std::time::Duration;
use vrrp::{OWNER, Version};

/// To be called before other checks mend the instance.
pub(super) fn apply(it: &mut InstanceConf, global: &Global, diagnostics: &mut Diagnostics) {
    let strict = it.strict.unwrap_or(global.strict);
    let owner = it.priority == Some(OWNER);
    it.no_accept = it.accept.map_or(strict && !owner, |accept| !accept);
    if !strict {
        return;
    }
    let (place, name, version) = (it.place.clone(), it.name.clone(), it.version(global));
    let mut warn = |text: &str| diagnostics.warn(&place, format!("({name}) {text}"));
    if it.auth_type.take().is_some() {
        warn("Strict mode does not support authentication. Ignoring; take the block away");
    }
    if !it.preempt_delay.is_zero() {
        warn("preempt_delay is incompatible with strict mode - resetting; take it away");
        it.preempt_delay = Duration::ZERO;
    }
    if it.accept == Some(true) && version == Version::V2 {
        warn("accept mode for VRRP version 2 does not comply with RFC3768 - resetting; take accept away, or write 'version 3'");
        it.no_accept = !owner;
    }
    if it.garp.lower_prio_repeat.or(global.garp.lower_prio_repeat).is_some_and(|times| times > 0) {
        warn("Strict mode requires no repeat garps. resetting; take garp_lower_prio_repeat away");
    }
    (it.garp.lower_prio_repeat, it.garp.lower_prio_delay) = (Some(0), Some(Duration::ZERO));
    if it.lower_prio_no_advert == Some(false) {
        warn("Strict mode requires no lower priority advert. resetting; take lower_prio_no_advert away");
    }
    it.lower_prio_no_advert = Some(true);
    if it.higher_prio_send_advert.unwrap_or(global.higher_prio_send_advert) {
        warn("strict mode requires higher_prio_send_advert to be clear. resetting; take it away");
    }
    it.higher_prio_send_advert = Some(false);
    if it.down_timer_adverts.or(global.down_timer_adverts).is_some_and(|adverts| adverts != 3) {
        warn("down_timer_adverts is incompatible with strict mode - resetting; take it away");
        it.down_timer_adverts = Some(3);
    }
    if std::mem::take(&mut it.vmac_xmit_base) {
        warn("xmit_base is incompatible with strict mode - resetting; take vmac_xmit_base away");
    }
    if it.addresses.first().is_some_and(|first| matches!(first.address, IpAddr::V6(ip) if !ip.is_unicast_link_local())) {
        warn("the first IPv6 VIP address must be link local; write one from fe80::/10 before the others");
    }
    // Only the owner begins as master.
    it.master &= owner;
}
