//! Connections and who stands at their ends, the proxies between them, what all of them count. Manual 7.3.2 and 7.3.3.
//!
//! Holds: the values are the context's; this is their names, arguments and types.

use super::constant::{check_unit, since_1970};
use crate::sample::{Arg, ArgKind, Args, Cx, Eval, Fact, Fetch, FetchCall, Loader, Need, TcpFact, Type, Value};
use crate::{Field, LogValue};

const BACKEND: &[ArgKind] = &[ArgKind::Backend];
const FRONTEND: &[ArgKind] = &[ArgKind::Frontend];
const SERVER: &[ArgKind] = &[ArgKind::Server];
const TEXT: &[ArgKind] = &[ArgKind::Str];

use Need::{Backend, ClientAddress, Frontend, Internal, Server, ServerAddress};
use Type::{Addr, Bool, Int, Str};

pub(super) const TABLE: &[Fetch] = &[
    plain("src", Addr, ClientAddress, |_, cx, _| fact(cx, Fact::Src)),
    plain("src_port", Int, ClientAddress, |_, cx, _| fact(cx, Fact::SrcPort)),
    plain("src_is_local", Bool, ClientAddress, |_, cx, _| fact(cx, Fact::SrcIsLocal)),
    plain("dst", Addr, ClientAddress, |_, cx, _| fact(cx, Fact::Dst)),
    plain("dst_port", Int, ClientAddress, |_, cx, _| fact(cx, Fact::DstPort)),
    plain("dst_is_local", Bool, ClientAddress, |_, cx, _| fact(cx, Fact::DstIsLocal)),
    plain("dst_conn", Int, Frontend, |_, cx, _| fact(cx, Fact::DstConn)),
    plain("fc_src", Addr, ClientAddress, |_, cx, _| fact(cx, Fact::FcSrc)),
    plain("fc_src_port", Int, ClientAddress, |_, cx, _| fact(cx, Fact::FcSrcPort)),
    plain("fc_src_is_local", Bool, ClientAddress, |_, cx, _| fact(cx, Fact::FcSrcIsLocal)),
    plain("fc_dst", Addr, ClientAddress, |_, cx, _| fact(cx, Fact::FcDst)),
    plain("fc_dst_port", Int, ClientAddress, |_, cx, _| fact(cx, Fact::FcDstPort)),
    plain("fc_dst_is_local", Bool, ClientAddress, |_, cx, _| fact(cx, Fact::FcDstIsLocal)),
    plain("fc_err", Int, ClientAddress, |_, cx, _| fact(cx, Fact::FcErr)),
    plain("fc_err_name", Str, ClientAddress, |_, cx, _| fact(cx, Fact::FcErrName)),
    plain("fc_nb_streams", Int, ClientAddress, |_, cx, _| fact(cx, Fact::FcNbStreams)),
    plain("fc_err_str", Str, ClientAddress, |_, cx, _| fact(cx, Fact::FcErrStr)),
    plain("fc_saved_syn", Type::Bin, ClientAddress, |_, cx, _| fact(cx, Fact::FcSavedSyn)),
    plain("fc_http_major", Int, ClientAddress, |_, cx, _| fact(cx, Fact::FcHttpMajor)),
    plain("fc_rcvd_proxy", Bool, ClientAddress, |_, cx, _| fact(cx, Fact::FcRcvdProxy)),
    plain("fc_pp_authority", Str, ClientAddress, |_, cx, _| fact(cx, Fact::FcPpAuthority)),
    plain("fc_pp_unique_id", Str, ClientAddress, |_, cx, _| fact(cx, Fact::FcPpUniqueId)),
    Fetch::new("fc_pp_tlv", TEXT, 1, Str, Need::ClientConnection, |args, cx, _| {
        args.int(0).and_then(|kind| fact(cx, Fact::FcPpTlv(u8::try_from(kind).ok()?)).value()).into()
    })
    .checked(check_tlv),
    time("fc_rtt", ClientAddress, |args, cx, _| in_unit(args, fact(cx, Fact::FcTcp(TcpFact::Rtt)))),
    time("fc_rttvar", ClientAddress, |args, cx, _| in_unit(args, fact(cx, Fact::FcTcp(TcpFact::RttVar)))),
    time("bc_rtt", ClientAddress, |args, cx, _| in_unit(args, fact(cx, Fact::BcTcp(TcpFact::Rtt)))),
    time("bc_rttvar", ClientAddress, |args, cx, _| in_unit(args, fact(cx, Fact::BcTcp(TcpFact::RttVar)))),
    tcp("fc_unacked", |_, cx, _| fact(cx, Fact::FcTcp(TcpFact::Unacked))),
    tcp("fc_sacked", |_, cx, _| fact(cx, Fact::FcTcp(TcpFact::Sacked))),
    tcp("fc_lost", |_, cx, _| fact(cx, Fact::FcTcp(TcpFact::Lost))),
    tcp("fc_retrans", |_, cx, _| fact(cx, Fact::FcTcp(TcpFact::Retrans))),
    tcp("fc_fackets", |_, cx, _| fact(cx, Fact::FcTcp(TcpFact::Fackets))),
    tcp("fc_reordering", |_, cx, _| fact(cx, Fact::FcTcp(TcpFact::Reordering))),
    plain("fe_id", Int, Frontend, |_, cx, _| fact(cx, Fact::FeId)),
    plain("fe_name", Str, Frontend, |_, cx, _| fact(cx, Fact::FeName)),
    plain("fe_defbe", Str, Frontend, |_, cx, _| fact(cx, Fact::FeDefbe)),
    plain("fe_client_timeout", Int, Frontend, |_, cx, _| fact(cx, Fact::FeClientTimeout)),
    plain("fe_tarpit_timeout", Int, Frontend, |_, cx, _| fact(cx, Fact::FeTarpitTimeout)),
    plain("cur_client_timeout", Int, Frontend, |_, cx, _| fact(cx, Fact::CurClientTimeout)),
    plain("so_id", Int, Frontend, |_, cx, _| fact(cx, Fact::SoId)),
    plain("so_name", Str, Frontend, |_, cx, _| fact(cx, Fact::SoName)),
    frontend("fe_conn", |args, cx, _| of_named(args, cx, Fact::FeConn)),
    frontend("fe_req_rate", |args, cx, _| of_named(args, cx, Fact::FeReqRate)),
    frontend("fe_sess_rate", |args, cx, _| of_named(args, cx, Fact::FeSessRate)),
    plain("be_id", Int, Backend, |_, cx, _| fact(cx, Fact::BeId)),
    plain("be_name", Str, Backend, |_, cx, _| fact(cx, Fact::BeName)),
    plain("be_server_timeout", Int, Backend, |_, cx, _| fact(cx, Fact::BeServerTimeout)),
    plain("be_tunnel_timeout", Int, Backend, |_, cx, _| fact(cx, Fact::BeTunnelTimeout)),
    plain("be_connect_timeout", Int, Backend, |_, cx, _| fact(cx, Fact::BeConnectTimeout)),
    plain("be_queue_timeout", Int, Backend, |_, cx, _| fact(cx, Fact::BeQueueTimeout)),
    plain("be_tarpit_timeout", Int, Backend, |_, cx, _| fact(cx, Fact::BeTarpitTimeout)),
    plain("be_max_retries", Int, Backend, |_, cx, _| fact(cx, Fact::BeMaxRetries)),
    plain("cur_connect_timeout", Int, Backend, |_, cx, _| fact(cx, Fact::BeConnectTimeout)),
    plain("cur_queue_timeout", Int, Backend, |_, cx, _| fact(cx, Fact::BeQueueTimeout)),
    plain("cur_tarpit_timeout", Int, Backend, |_, cx, _| fact(cx, Fact::BeTarpitTimeout)),
    plain("cur_max_retries", Int, Backend, |_, cx, _| fact(cx, Fact::CurMaxRetries)),
    plain("cur_server_timeout", Int, Backend, |_, cx, _| fact(cx, Fact::CurServerTimeout)),
    plain("cur_tunnel_timeout", Int, Backend, |_, cx, _| fact(cx, Fact::CurTunnelTimeout)),
    backend("be_conn", |args, cx, _| of_named(args, cx, Fact::BeConn)),
    backend("be_conn_free", |args, cx, _| of_named(args, cx, Fact::BeConnFree)),
    backend("be_sess_rate", |args, cx, _| of_named(args, cx, Fact::BeSessRate)),
    backend("nbsrv", |args, cx, _| of_named(args, cx, Fact::NbSrv)),
    backend("queue", |args, cx, _| of_named(args, cx, Fact::Queue)),
    backend("avg_queue", |args, cx, _| of_named(args, cx, Fact::AvgQueue)),
    backend("connslots", |args, cx, _| of_named(args, cx, Fact::Connslots)),
    plain("srv_id", Int, Server, |_, cx, _| fact(cx, Fact::SrvId)),
    plain("srv_name", Str, Server, |_, cx, _| fact(cx, Fact::SrvName)),
    server("srv_conn", Int, |args, cx, _| of_named(args, cx, Fact::SrvConn)),
    server("srv_conn_free", Int, |args, cx, _| of_named(args, cx, Fact::SrvConnFree)),
    server("srv_is_up", Bool, |args, cx, _| of_named(args, cx, Fact::SrvIsUp)),
    server("srv_queue", Int, |args, cx, _| of_named(args, cx, Fact::SrvQueue)),
    server("srv_sess_rate", Int, |args, cx, _| of_named(args, cx, Fact::SrvSessRate)),
    server("srv_weight", Int, |args, cx, _| of_named(args, cx, Fact::SrvWeight)),
    server("srv_iweight", Int, |args, cx, _| of_named(args, cx, Fact::SrvIweight)),
    server("srv_uweight", Int, |args, cx, _| of_named(args, cx, Fact::SrvUweight)),
    plain("bc_src", Addr, ServerAddress, |_, cx, _| fact(cx, Fact::BcSrc)),
    plain("bc_src_port", Int, ServerAddress, |_, cx, _| fact(cx, Fact::BcSrcPort)),
    plain("bc_dst", Addr, ServerAddress, |_, cx, _| fact(cx, Fact::BcDst)),
    plain("bc_dst_port", Int, ServerAddress, |_, cx, _| fact(cx, Fact::BcDstPort)),
    plain("bc_err", Int, ServerAddress, |_, cx, _| fact(cx, Fact::BcErr)),
    plain("bc_err_name", Str, ServerAddress, |_, cx, _| fact(cx, Fact::BcErrName)),
    plain("bc_nb_streams", Int, ServerAddress, |_, cx, _| fact(cx, Fact::BcNbStreams)),
    plain("bc_err_str", Str, ServerAddress, |_, cx, _| fact(cx, Fact::BcErrStr)),
    plain("bc_http_major", Int, ServerAddress, |_, cx, _| fact(cx, Fact::BcHttpMajor)),
    plain("stopping", Bool, Internal, |_, cx, _| fact(cx, Fact::Stopping)),
    plain("prio_class", Int, Internal, |_, cx, _| fact(cx, Fact::PrioClass)),
    plain("prio_offset", Int, Internal, |_, cx, _| fact(cx, Fact::PrioOffset)),
    plain("last_rule_file", Str, Internal, |_, cx, _| fact(cx, Fact::LastRuleFile)),
    plain("last_rule_line", Int, Internal, |_, cx, _| fact(cx, Fact::LastRuleLine)),
    plain("act_conn", Int, Need::Constant, |_, cx, _| fact(cx, Fact::ActConn)),
    plain("pid", Int, Need::Constant, |_, cx, _| fact(cx, Fact::Pid)),
    plain("uptime", Int, Need::Constant, |_, cx, _| fact(cx, Fact::Uptime)),
    plain("cpu_calls", Int, Internal, |_, cx, _| fact(cx, Fact::CpuCalls)),
    plain("cpu_ns_avg", Int, Internal, |_, cx, _| fact(cx, Fact::CallNanoseconds)),
    plain("cpu_ns_tot", Int, Internal, |_, cx, _| fact(cx, Fact::CallNanoseconds)),
    plain("lat_ns_avg", Int, Internal, |_, cx, _| fact(cx, Fact::CallNanoseconds)),
    plain("lat_ns_tot", Int, Internal, |_, cx, _| fact(cx, Fact::CallNanoseconds)),
    plain("quic_enabled", Bool, Need::Constant, |_, _, _| Eval::Value(Value::Bool(false))),
    plain("txn.id32", Int, Internal, |_, cx, _| number(cx, Field::RequestCounter)),
    plain("txn.conn_retries", Int, Need::Response, |_, cx, _| number(cx, Field::Retries)),
    plain("txn.redispatched", Bool, Need::Response, |_, cx, _| {
        Eval::Value(Value::Bool(matches!(cx.source.value(Field::Retries), LogValue::AtLeast(_))))
    }),
    plain("bc_be_queue", Int, ServerAddress, |_, cx, _| number(cx, Field::BackendQueue)),
    plain("bc_srv_queue", Int, ServerAddress, |_, cx, _| number(cx, Field::ServerQueue)),
    plain("bytes_in", Int, Internal, |_, cx, _| number(cx, Field::BytesUploaded)),
    plain("bytes_out", Int, Internal, |_, cx, _| number(cx, Field::BytesRead)),
    plain("fc.timer.handshake", Int, ClientAddress, |_, cx, _| number(cx, Field::TimeHandshake)),
    plain("fc.timer.total", Int, Need::End, |_, cx, _| number(cx, Field::TimeTotal)),
    plain("bc.timer.connect", Int, ServerAddress, |_, cx, _| number(cx, Field::TimeConnect)),
    plain("req.timer.idle", Int, Need::RequestHead, |_, cx, _| number(cx, Field::TimeIdle)),
    plain("req.timer.hdr", Int, Need::RequestHead, |_, cx, _| number(cx, Field::TimeRequest)),
    plain("req.timer.tq", Int, Need::RequestHead, |_, cx, _| number(cx, Field::TimeQuery)),
    plain("req.timer.queue", Int, ServerAddress, |_, cx, _| number(cx, Field::TimeQueue)),
    plain("res.timer.hdr", Int, Need::ResponseHead, |_, cx, _| number(cx, Field::TimeResponse)),
    plain("res.timer.data", Int, Need::End, |_, cx, _| number(cx, Field::TimeData)),
    plain("txn.timer.total", Int, Need::End, |_, cx, _| number(cx, Field::TimeActive)),
    plain("txn.timer.user", Int, Need::End, |_, cx, _| number(cx, Field::TimeUser)),
    plain("txn.status", Int, Need::Response, |_, cx, _| fact(cx, Fact::Status)),
    plain("server_status", Int, Need::Response, |_, cx, _| fact(cx, Fact::ServerStatus)),
    plain("txn.sess_term_state", Str, Internal, |_, cx, _| match cx.source.value(Field::Termination) {
        LogValue::Termination(end) => Eval::Value(Value::Str(cx.keep(&end.letters()[..2]))),
        _ => Eval::Absent,
    }),
    Fetch::new("accept_date", TEXT, 0, Int, ClientAddress, |args, cx, _| moment(args, cx, Field::AcceptDate)).checked(check_date),
    Fetch::new("request_date", TEXT, 0, Int, Need::Request, |args, cx, _| moment(args, cx, Field::RequestDate)).checked(check_date),
];

const fn plain(name: &'static str, out: Type, need: Need, call: FetchCall) -> Fetch {
    Fetch::new(name, &[], 0, out, need, call)
}

const fn frontend(name: &'static str, call: FetchCall) -> Fetch {
    Fetch::new(name, FRONTEND, 0, Int, Internal, call)
}

const fn backend(name: &'static str, call: FetchCall) -> Fetch {
    Fetch::new(name, BACKEND, 0, Int, Internal, call)
}

const fn server(name: &'static str, out: Type, call: FetchCall) -> Fetch {
    Fetch::new(name, SERVER, 1, out, Internal, call)
}

const fn time(name: &'static str, need: Need, call: FetchCall) -> Fetch {
    Fetch::new(name, TEXT, 0, Int, need, call).checked(check_time)
}

/// haproxy takes any text as an argument here, and does nothing with it.
const fn tcp(name: &'static str, call: FetchCall) -> Fetch {
    Fetch::new(name, TEXT, 0, Int, ClientAddress, call)
}

fn fact<'a>(cx: Cx<'a>, fact: Fact) -> Eval<'a> {
    cx.source.fact(fact, cx.scratch).into()
}

fn of_named<'a>(args: &'a Args, cx: Cx<'a>, of: fn(crate::sample::Reference) -> Fact) -> Eval<'a> {
    args.reference(0).and_then(|name| cx.source.fact(of(name), cx.scratch)).into()
}

/// A number that log lines have too.
fn number<'a>(cx: Cx<'a>, field: Field) -> Eval<'a> {
    match cx.source.value(field) {
        LogValue::Int(n) | LogValue::AtLeast(n) => Eval::Value(Value::Int(n)),
        _ => Eval::Absent,
    }
}

fn check_time(args: &mut Vec<Arg>, _: &mut dyn Loader) -> Result<(), String> {
    let Some(unit) = args.first_mut() else { return Ok(()) };
    *unit = match unit.text() {
        "ms" | "" => Arg::Int(1_000),
        "us" => Arg::Int(1),
        other => return Err(format!("expects 'us' or 'ms', got '{other}'")),
    };
    Ok(())
}

/// Microseconds in the unit that the argument names.
fn in_unit<'a>(args: &'a Args, micros: Eval<'a>) -> Eval<'a> {
    match micros {
        Eval::Value(Value::Int(n)) => Eval::Value(Value::Int(n / args.int(0).unwrap_or(1_000))),
        other => other,
    }
}

fn check_date(args: &mut Vec<Arg>, _: &mut dyn Loader) -> Result<(), String> {
    check_unit(args, 0)
}

fn moment<'a>(args: &'a Args, cx: Cx<'a>, field: Field) -> Eval<'a> {
    match cx.source.value(field) {
        LogValue::Time(at) => Eval::Value(Value::Int(since_1970(at, args.int(0).unwrap_or(1)))),
        _ => Eval::Absent,
    }
}

/// Kinds that have names, or a number of one byte.
fn check_tlv(args: &mut Vec<Arg>, _: &mut dyn Loader) -> Result<(), String> {
    let text = args.first().map(Arg::text).unwrap_or_default();
    let kind = match text {
        "ALPN" => Some(0x01),
        "AUTHORITY" => Some(0x02),
        "CRC32C" => Some(0x03),
        "NOOP" => Some(0x04),
        "UNIQUE_ID" => Some(0x05),
        "SSL" => Some(0x20),
        "NETNS" => Some(0x30),
        _ => text.strip_prefix("0x").map_or_else(|| text.parse().ok(), |hex| u8::from_str_radix(hex, 16).ok()),
    };
    let kind = kind.ok_or("TLV ID must be a number between 0 and 255, or a known name")?;
    args[0] = Arg::Int(i64::from(kind));
    Ok(())
}
