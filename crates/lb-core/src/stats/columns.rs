//! The columns of `show stat`, in haproxy's order: their names, and what the typed format says of their values. Source: management
//! guide 9.1, 9.2; tags and types were seen in haproxy 2.6.

/// A column.
#[derive(Debug)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// Origin, nature and scope of its values.
    pub tags: &'static str,
    /// Type of its values.
    pub kind: &'static str,
}

const fn column(name: &'static str, tags: &'static str, kind: &'static str) -> Column {
    Column { name, tags, kind }
}

/// Columns that haproxy has in a fixed order; those behind come from modules, after a column `-`.
pub const FIXED: usize = 103;

/// All columns; a value's number is its place here.
pub const COLUMNS: &[Column] = &[
    column("pxname", "KNS", "str"),
    column("svname", "KNS", "str"),
    column("qcur", "MGP", "u32"),
    column("qmax", "MMP", "u32"),
    column("scur", "MGP", "u32"),
    column("smax", "MMP", "u32"),
    column("slim", "CLP", "u32"),
    column("stot", "MCP", "u64"),
    column("bin", "MCP", "u64"),
    column("bout", "MCP", "u64"),
    column("dreq", "MCP", "u64"),
    column("dresp", "MCP", "u64"),
    column("ereq", "MCP", "u64"),
    column("econ", "MCP", "u64"),
    column("eresp", "MCP", "u64"),
    column("wretr", "MCP", "u64"),
    column("wredis", "MCP", "u64"),
    column("status", "SGP", "str"),
    column("weight", "MaP", "u32"),
    column("act", "SGP", "u32"),
    column("bck", "SGP", "u32"),
    column("chkfail", "MCP", "u64"),
    column("chkdown", "MCP", "u64"),
    column("lastchg", "MAP", "u32"),
    column("downtime", "MCP", "u32"),
    column("qlimit", "CGS", "u32"),
    column("pid", "KGP", "u32"),
    column("iid", "KGS", "u32"),
    column("sid", "KGS", "u32"),
    column("throttle", "MaP", "u32"),
    column("lbtot", "MCP", "u64"),
    column("tracked", "CGS", "str"),
    column("type", "CGS", "u32"),
    column("rate", "MRP", "u32"),
    column("rate_lim", "CLP", "u32"),
    column("rate_max", "MMP", "u32"),
    column("check_status", "MOP", "str"),
    column("check_code", "MOP", "u32"),
    column("check_duration", "MDP", "u64"),
    column("hrsp_1xx", "MCP", "u64"),
    column("hrsp_2xx", "MCP", "u64"),
    column("hrsp_3xx", "MCP", "u64"),
    column("hrsp_4xx", "MCP", "u64"),
    column("hrsp_5xx", "MCP", "u64"),
    column("hrsp_other", "MCP", "u64"),
    column("hanafail", "MCP", "u64"),
    column("req_rate", "MRP", "u32"),
    column("req_rate_max", "MMP", "u32"),
    column("req_tot", "MCP", "u64"),
    column("cli_abrt", "MCP", "u64"),
    column("srv_abrt", "MCP", "u64"),
    column("comp_in", "MCP", "u64"),
    column("comp_out", "MCP", "u64"),
    column("comp_byp", "MCP", "u64"),
    column("comp_rsp", "MCP", "u64"),
    column("lastsess", "MAP", "s32"),
    column("last_chk", "MOP", "str"),
    column("last_agt", "MOP", "str"),
    column("qtime", "MaP", "u32"),
    column("ctime", "MaP", "u32"),
    column("rtime", "MaP", "u32"),
    column("ttime", "MaP", "u32"),
    column("agent_status", "MOP", "str"),
    column("agent_code", "MOP", "u32"),
    column("agent_duration", "MDP", "u64"),
    column("check_desc", "MOP", "str"),
    column("agent_desc", "MOP", "str"),
    column("check_rise", "CGS", "u32"),
    column("check_fall", "CGS", "u32"),
    column("check_health", "CGS", "u32"),
    column("agent_rise", "CGS", "u32"),
    column("agent_fall", "CGS", "u32"),
    column("agent_health", "CGS", "u32"),
    column("addr", "CGS", "str"),
    column("cookie", "CNS", "str"),
    column("mode", "CGS", "str"),
    column("algo", "CGS", "str"),
    column("conn_rate", "MRP", "u32"),
    column("conn_rate_max", "MMP", "u32"),
    column("conn_tot", "MCP", "u64"),
    column("intercepted", "MCP", "u64"),
    column("dcon", "MCP", "u64"),
    column("dses", "MCP", "u64"),
    column("wrew", "MCP", "u64"),
    column("connect", "MCP", "u64"),
    column("reuse", "MCP", "u64"),
    column("cache_lookups", "MCP", "u64"),
    column("cache_hits", "MCP", "u64"),
    column("srv_icur", "MGP", "u32"),
    column("src_ilim", "CLP", "u32"),
    column("qtime_max", "MMP", "u32"),
    column("ctime_max", "MMP", "u32"),
    column("rtime_max", "MMP", "u32"),
    column("ttime_max", "MMP", "u32"),
    column("eint", "MCP", "u64"),
    column("idle_conn_cur", "MGP", "u32"),
    column("safe_conn_cur", "MGP", "u32"),
    column("used_conn_cur", "MGP", "u32"),
    column("need_conn_est", "MGP", "u32"),
    column("uweight", "MaP", "u32"),
    column("agg_server_status", "MGP", "u32"),
    column("agg_server_check_status", "MGP", "u32"),
    column("agg_check_status", "MGP", "u32"),
    column("ssl_sess", "MCP", "u64"),
    column("ssl_reused_sess", "MCP", "u64"),
    column("ssl_failed_handshake", "MCP", "u64"),
    column("h2_headers_rcvd", "MCP", "u64"),
    column("h2_data_rcvd", "MCP", "u64"),
    column("h2_settings_rcvd", "MCP", "u64"),
    column("h2_rst_stream_rcvd", "MCP", "u64"),
    column("h2_goaway_rcvd", "MCP", "u64"),
    column("h2_detected_conn_protocol_errors", "MCP", "u64"),
    column("h2_detected_strm_protocol_errors", "MCP", "u64"),
    column("h2_rst_stream_resp", "MCP", "u64"),
    column("h2_goaway_resp", "MCP", "u64"),
    column("h2_open_connections", "MGP", "u64"),
    column("h2_backend_open_streams", "MGP", "u64"),
    column("h2_total_connections", "MCP", "u64"),
    column("h2_backend_total_streams", "MCP", "u64"),
    column("h1_open_connections", "MGP", "u64"),
    column("h1_open_streams", "MGP", "u64"),
    column("h1_total_connections", "MCP", "u64"),
    column("h1_total_streams", "MCP", "u64"),
    column("h1_bytes_in", "MCP", "u64"),
    column("h1_bytes_out", "MCP", "u64"),
    column("h1_spliced_bytes_in", "MCP", "u64"),
    column("h1_spliced_bytes_out", "MCP", "u64"),
];

/// Numbers of the columns that are filled in.
pub mod at {
    pub const PXNAME: usize = 0;
    pub const SVNAME: usize = 1;
    pub const QCUR: usize = 2;
    pub const QMAX: usize = 3;
    pub const SCUR: usize = 4;
    pub const SMAX: usize = 5;
    pub const SLIM: usize = 6;
    pub const STOT: usize = 7;
    pub const BIN: usize = 8;
    pub const BOUT: usize = 9;
    pub const DREQ: usize = 10;
    pub const DRESP: usize = 11;
    pub const EREQ: usize = 12;
    pub const ECON: usize = 13;
    pub const ERESP: usize = 14;
    pub const WRETR: usize = 15;
    pub const WREDIS: usize = 16;
    pub const STATUS: usize = 17;
    pub const WEIGHT: usize = 18;
    pub const ACT: usize = 19;
    pub const BCK: usize = 20;
    pub const CHKFAIL: usize = 21;
    pub const CHKDOWN: usize = 22;
    pub const LASTCHG: usize = 23;
    pub const DOWNTIME: usize = 24;
    pub const QLIMIT: usize = 25;
    pub const PID: usize = 26;
    pub const IID: usize = 27;
    pub const SID: usize = 28;
    pub const THROTTLE: usize = 29;
    pub const LBTOT: usize = 30;
    pub const TRACKED: usize = 31;
    pub const TYPE: usize = 32;
    pub const RATE: usize = 33;
    pub const RATE_LIM: usize = 34;
    pub const RATE_MAX: usize = 35;
    pub const CHECK_STATUS: usize = 36;
    pub const CHECK_CODE: usize = 37;
    pub const CHECK_DURATION: usize = 38;
    pub const HRSP_1XX: usize = 39;
    pub const HRSP_OTHER: usize = 44;
    pub const HANAFAIL: usize = 45;
    pub const REQ_RATE: usize = 46;
    pub const REQ_RATE_MAX: usize = 47;
    pub const REQ_TOT: usize = 48;
    pub const CLI_ABRT: usize = 49;
    pub const SRV_ABRT: usize = 50;
    pub const COMP_IN: usize = 51;
    pub const COMP_RSP: usize = 54;
    pub const LASTSESS: usize = 55;
    pub const LAST_CHK: usize = 56;
    pub const LAST_AGT: usize = 57;
    pub const QTIME: usize = 58;
    pub const AGENT_STATUS: usize = 62;
    pub const AGENT_CODE: usize = 63;
    pub const AGENT_DURATION: usize = 64;
    pub const CHECK_DESC: usize = 65;
    pub const AGENT_DESC: usize = 66;
    pub const CHECK_RISE: usize = 67;
    pub const CHECK_FALL: usize = 68;
    pub const CHECK_HEALTH: usize = 69;
    pub const AGENT_RISE: usize = 70;
    pub const AGENT_FALL: usize = 71;
    pub const AGENT_HEALTH: usize = 72;
    pub const ADDR: usize = 73;
    pub const MODE: usize = 75;
    pub const ALGO: usize = 76;
    pub const CONN_RATE: usize = 77;
    pub const CONN_RATE_MAX: usize = 78;
    pub const CONN_TOT: usize = 79;
    pub const INTERCEPTED: usize = 80;
    pub const DCON: usize = 81;
    pub const DSES: usize = 82;
    pub const WREW: usize = 83;
    pub const CONNECT: usize = 84;
    pub const REUSE: usize = 85;
    pub const CACHE_LOOKUPS: usize = 86;
    pub const CACHE_HITS: usize = 87;
    pub const SRV_ICUR: usize = 88;
    pub const QTIME_MAX: usize = 90;
    pub const EINT: usize = 94;
    pub const IDLE_CONN_CUR: usize = 95;
    pub const SAFE_CONN_CUR: usize = 96;
    pub const USED_CONN_CUR: usize = 97;
    pub const NEED_CONN_EST: usize = 98;
    pub const UWEIGHT: usize = 99;
    pub const AGG_SERVER_STATUS: usize = 100;
    pub const AGG_SERVER_CHECK_STATUS: usize = 101;
    pub const AGG_CHECK_STATUS: usize = 102;
    pub const SRC_ILIM: usize = 89;
    pub const SSL_SESS: usize = 103;
    pub const H1_OPEN_CONNECTIONS: usize = 119;
    pub const H1_OPEN_STREAMS: usize = 120;
    pub const H1_TOTAL_CONNECTIONS: usize = 121;
    pub const H1_TOTAL_STREAMS: usize = 122;
    pub const H1_BYTES_IN: usize = 123;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names() {
        assert_eq!(COLUMNS.len(), 127);
        for (number, name) in [
            (at::PXNAME, "pxname"),
            (at::STATUS, "status"),
            (at::TYPE, "type"),
            (at::LASTSESS, "lastsess"),
            (at::QTIME + 3, "ttime"),
            (at::LAST_AGT, "last_agt"),
            (at::AGENT_DURATION, "agent_duration"),
            (at::AGENT_DESC, "agent_desc"),
            (at::AGENT_HEALTH, "agent_health"),
            (at::TRACKED, "tracked"),
            (at::HANAFAIL, "hanafail"),
            (at::QTIME_MAX + 3, "ttime_max"),
            (at::UWEIGHT, "uweight"),
            (FIXED, "ssl_sess"),
            (at::H1_TOTAL_STREAMS, "h1_total_streams"),
            (at::IDLE_CONN_CUR, "idle_conn_cur"),
            (at::SAFE_CONN_CUR, "safe_conn_cur"),
            (at::H1_BYTES_IN, "h1_bytes_in"),
            (at::H1_BYTES_IN + 3, "h1_spliced_bytes_out"),
        ] {
            assert_eq!(COLUMNS[number].name, name);
        }
    }
}
