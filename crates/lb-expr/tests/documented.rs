//! Converters that no haproxy at hand has, by what its manual of 3.4 says of them.

mod support;

use support::{request, text};

#[track_caller]
fn gives(expression: &str, wanted: Option<&str>) {
    assert_eq!(text(expression, &request("GET /", &[])).as_deref(), wanted, "{expression}");
}

/// A SYN of Linux: 172.16.10.99:57844 to 172.16.10.12:80, with MSS, SACK, timestamps and window scale.
const SYN: &str =
    "4500003c1c4640004006b1e6ac100a63ac100a0ce1f4005089abcdef00000000a002faf000000000020405b40402080a00c0ffee0000000001030307";
/// The same over IPv6, behind a hop-by-hop extension, with ECN asked for and nothing but an MSS.
const SYN6: &str = concat!(
    "6b81234500200080",
    "20010db8000000000000000000000063",
    "20010db800000000000000000000000c",
    "0600050200000000",
    "e1f4005089abcdef0000000060c2fde800000000020405a0"
);

#[test]
fn ip() {
    for (call, wanted, wanted6) in [
        ("ip.ver", "4", "6"),
        ("ip.src", "172.16.10.99", "2001:db8::63"),
        ("ip.dst", "172.16.10.12", "2001:db8::c"),
        ("ip.df", "1", "1"),
        ("ip.tos", "0", "184"),
        ("ip.ttl", "64", "128"),
        ("ip.proto", "6", "6"),
        ("ip.hdr,hex,length", "40", "96"),
        ("ip.data,tcp.src", "57844", "57844"),
        ("ip.data,tcp.dst", "80", "80"),
        ("ip.data,tcp.seq", "2309737967", "2309737967"),
        ("ip.data,tcp.flags", "2", "194"),
        ("ip.data,tcp.win", "64240", "65000"),
        ("ip.data,tcp.options.mss", "1460", "1440"),
        ("ip.data,tcp.options.sack", "1", "0"),
        ("ip.data,tcp.options.tsopt", "1", "0"),
        ("ip.data,tcp.options.wsopt", "1", "0"),
        ("ip.data,tcp.options.wscale", "7", "0"),
        ("ip.data,tcp.options_list,hex", "0204080103", "02"),
        ("ip.fp,hex", "0050A8FAF005B447", "B8EB60FDE805A001"),
        ("ip.fp(0),hex", "0050A8FAF005B447", "B8EB60FDE805A001"),
        ("ip.fp(1),hex", "0050A8FAF005B44740", "B8EB60FDE805A00180"),
        ("ip.fp(2),hex", "0050A8FAF005B4470204080103", "B8EB60FDE805A00102"),
        ("ip.fp(5),hex", "0050A8FAF005B44740AC100A63", "B8EB60FDE805A0018020010DB8000000000000000000000063"),
    ] {
        gives(&format!("bin({SYN}),{call}"), Some(wanted));
        gives(&format!("bin({SYN6}),{call}"), Some(wanted6));
    }
    gives(&format!("bin({SYN}),ip.data,tcp.options.tsval"), Some("12648430"));
    gives(&format!("bin({SYN6}),ip.data,tcp.options.tsval"), None);
}

#[test]
fn ethernet() {
    let plain = format!("0102030405060708090a0b0c0800{SYN}");
    let tagged = format!("0102030405060708090a0b0c8100006481002fff0800{SYN}");
    for (call, wanted) in [("eth.dst,hex", "010203040506"), ("eth.src,hex", "0708090A0B0C"), ("eth.proto", "2048")] {
        gives(&format!("bin({plain}),{call}"), Some(wanted));
        gives(&format!("bin({tagged}),{call}"), Some(wanted));
    }
    gives(&format!("bin({plain}),eth.hdr,hex,length"), Some("28"));
    gives(&format!("bin({tagged}),eth.hdr,hex,length"), Some("44"));
    gives(&format!("bin({plain}),eth.vlan"), None);
    gives(&format!("bin({tagged}),eth.vlan"), Some("4095"));
    gives(&format!("bin({tagged}),eth.data,ip.data,tcp.dst"), Some("80"));
}

/// Bytes that end too early, at each place, and options whose lengths lie.
#[test]
fn broken_packets() {
    for bytes in [SYN, SYN6] {
        for end in (2..bytes.len()).step_by(2) {
            let cut = &bytes[..end];
            for call in ["ip.fp(7)", "ip.data,tcp.options_list", "ip.data,tcp.options.mss", "ip.data,tcp.options.tsval"] {
                gives(&format!("bin({cut}),{call},hex"), None);
            }
            text(&format!("bin({cut}),eth.data,ip.hdr,hex"), &request("GET /", &[]));
        }
    }
    let options = |options: &str| format!("e1f4005089abcdef0000000070c2fde800000000{options}");
    gives(&format!("bin({}),tcp.options.mss", options("0205ffffffffffff")), Some("65535"));
    gives(&format!("bin({}),tcp.options.mss", options("0209ffffffffffff")), Some("0"));
    gives(&format!("bin({}),tcp.options.mss", options("0302020400000000")), Some("0"));
    gives(&format!("bin({}),tcp.options_list,hex", options("0100020400000000")), Some("01"));
    gives(&format!("bin({}),tcp.options_list,hex", options("0101050002040000")), Some("0101"));
    gives(&format!("bin({}),tcp.options_list,hex", options("0101050102040000")), Some("0101"));
    gives("bin(0102030405060708090a0b0c810000648100),eth.proto", None);
    gives("bin(15),ip.ver", Some("1"));
    gives("bin(15),ip.src", None);
}

#[test]
fn forwarded() {
    for (value, name, port) in [
        ("ipv4(1.2.3.4)", Some("1.2.3.4"), None),
        ("ipv6(ab:cd:ff:ff:ff:ff:ff:ff)", Some("[ab:cd:ff:ff:ff:ff:ff:ff]"), None),
        ("ipv6(::1)", Some("[::1]"), None),
        ("str(test)", Some("_test"), Some("_test")),
        ("str()", Some("unknown"), None),
        ("str(a/b)", None, None),
        ("str(8888)", Some("_8888"), Some("_8888")),
        ("str(_a.b-c)", Some("__a.b-c"), Some("__a.b-c")),
        ("int(12)", Some("_12"), Some("12")),
        ("int(0)", Some("_0"), Some("0")),
        ("int(65536)", Some("_65536"), None),
        ("int(-1)", Some("_-1"), None),
    ] {
        gives(&format!("{value},rfc7239_nn"), name);
        if !value.starts_with("ip") {
            gives(&format!("{value},rfc7239_np"), port);
        }
    }
    gives("ipv6(::1),rfc7239_nn,concat(:80),rfc7239_n2nn", Some("::1"));
}

#[test]
fn dates() {
    let dated = |call: &str| text(&format!("req.fhdr(x),{call}"), &request("GET /", &[("x", "Sun, 06 Nov 1994 08:49:37 GMT")]));
    assert_eq!(dated("date").as_deref(), Some("784111777"));
    assert_eq!(dated("date,http_date").as_deref(), Some("Sun, 06 Nov 1994 08:49:37 GMT"));
    gives("str(yesterday),date", None);
    gives("int(5),date", None);
}

/// As openssl(1) has them: `openssl enc -aes-128-cbc -K ... -iv 000102030405060708090a0b0c0d0e0f`.
#[test]
fn aes_cbc() {
    const NONCE: &str = "AAECAwQFBgcICQoLDA0ODw==";
    let keys = [
        (128, "YD3rEBXKcb4rc67whX13gQ=="),
        (192, "YD3rEBXKcb4rc67whX13gR81LAc7YQjX"),
        (256, "YD3rEBXKcb4rc67whX13gR81LAc7YQjXLZgQowkU3/Q="),
    ];
    let secrets = [
        [
            "1197B01B8A74A738642EF23FA7F0045D",
            "BC8BF06D97EC4A8E249EF4652AD4CA3B",
            "B3C1C6B05B3A8C19C6596F2014143F961F98DD4D22424D812162DADB84EBA9F7",
        ],
        [
            "856C31A409150EDCD2F2309B5CBE72A7",
            "021931F245512C9EE75FA2DB72536C39",
            "96B37ED9CF1DFFF3D6468B65B042CCA77A7231B4227510F1C2ED17683DF82338",
        ],
        [
            "7E9248E5D829CA7593F0C549DB2F5B8C",
            "83286AFE49594CE405A251BDB203750F",
            "AF7982F678F498BE053F0EC06BC547CAF81DAB9022F1009991CDF5A02A864A5D",
        ],
    ];
    for ((bits, key), secrets) in keys.into_iter().zip(secrets) {
        for (plain, secret) in ["", "abc", "0123456789abcdef"].into_iter().zip(secrets) {
            gives(&format!("str({plain}),aes_cbc_enc({bits},{NONCE},{key}),hex"), Some(secret));
            gives(&format!("bin({secret}),aes_cbc_dec({bits},{NONCE},{key}),length"), Some(&plain.len().to_string()));
            gives(&format!("bin({secret}),aes_cbc_dec({bits},{NONCE},{key})"), Some(plain));
        }
    }
    let key = keys[0].1;
    gives(&format!("bin(00),aes_cbc_dec(128,{NONCE},{key}),hex"), None);
    gives(&format!("str(),aes_cbc_dec(128,{NONCE},{key}),hex"), None);
    gives(&format!("bin(00000000000000000000000000000000),aes_cbc_dec(128,{NONCE},{key}),hex"), None);
    gives(&format!("str(a),aes_cbc_enc(256,{NONCE},{key}),hex"), None);
    gives(&format!("str(a),aes_cbc_enc(128,AAEC,{key}),hex"), None);
}
