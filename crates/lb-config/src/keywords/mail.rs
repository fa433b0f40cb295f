//! `email-alert` (manual 4.2) and the lines of `mailers` sections (3.6).

use super::{Context, Keyword, Parser, Sections, State};
use crate::address::{Address, Port};
use crate::diag::Problem;
use crate::model::{Level, Mailer};
use crate::parse::{EmailDraft, Line, MailersCx, ProxyCx, address, resolve_host};
use std::net::SocketAddr;
use std::time::Duration;

type Outcome = Result<(), Problem>;

const fn alert(
    name: &'static str,
    args: &'static str,
    doc: &'static str,
    parser: fn(&mut ProxyCx<'_, '_>, &Line<'_>) -> Outcome,
) -> Keyword {
    Keyword::new(Context::Proxy, name, args, doc, State::Works, Parser::Proxy(parser)).sections(Sections::D_F_L_B)
}

const fn works(
    name: &'static str,
    args: &'static str,
    doc: &'static str,
    parser: fn(&mut MailersCx<'_, '_>, &Line<'_>) -> Outcome,
) -> Keyword {
    Keyword::new(Context::In("mailers"), name, args, doc, State::Works, Parser::Mailers(parser))
}

pub(super) const KEYWORDS: &[Keyword] = &[
    alert("email-alert from", "<address>", "sender of alerts", |cx, line| text(cx, line, |email| &mut email.from)),
    alert("email-alert level", "<level>", "least important level of alerts", |cx, line| {
        let level = line.choice(0, &Level::ALL)?;
        line.end(1)?;
        cx.draft.email.get_or_insert_default().level = Some(level);
        Ok(())
    }),
    alert("email-alert mailers", "<name>", "mail servers of alerts", |cx, line| text(cx, line, |email| &mut email.mailers)),
    alert("email-alert myhostname", "<name>", "host name in alerts", |cx, line| text(cx, line, |email| &mut email.hostname)),
    alert("email-alert to", "<address>", "receiver of alerts", |cx, line| text(cx, line, |email| &mut email.to)),
    works("mailer", "<name> <address>:<port>", "a server that takes mails", mailer),
    works("timeout mail", "<time>", "time for a mail, from the connection on", |cx, line| {
        cx.mailers.timeout = line.time(0, Duration::from_millis(1))?;
        line.end(1)
    }),
];

fn text(cx: &mut ProxyCx<'_, '_>, line: &Line<'_>, slot: fn(&mut EmailDraft) -> &mut Option<String>) -> Outcome {
    let value = line.need(0)?;
    line.end(1)?;
    if value.contains(|c: char| c.is_control()) {
        return Err(line.problem(0, "this goes into a mail as it is, and cannot have control characters").help("remove them"));
    }
    *slot(cx.draft.email.get_or_insert_default()) = Some(value.to_owned());
    Ok(())
}

fn mailer(cx: &mut MailersCx<'_, '_>, line: &Line<'_>) -> Outcome {
    let name = line.need(0)?;
    let text = line.need(1)?;
    line.end(2)?;
    let word = line.first + 1;
    let Address::Inet { host, port: Port::One(port) } = address(text, word, &cx.world.variables)? else {
        return Err(line.problem(1, "a mailer is an IP address or a name, and a port").help("write 'mailer <name> <address>:25'"));
    };
    let ip = resolve_host(&host, word, cx.world.source)?;
    cx.mailers.mailers.push(Mailer { name: name.to_owned(), address: SocketAddr::new(ip, port) });
    Ok(())
}
