//! ACLs and conditions on traffic: what each of them says of a request, as haproxy 2.6.12 said it; and beside haproxy, where that is
//! installed. What it refuses is refused in its words.

mod common;

use common::{io, program, start};
use lb_testkit::fixture::{TempDir, fill};
use lb_testkit::http::Connection;
use lb_testkit::ports;
use lb_testkit::process::{HAPROXY, Process, run};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;

/// An ACL, the value of the field `x`, the target of the request, and whether it matches.
const CASES: &[(&str, Option<&str>, &str, bool)] = &[
    ("req.fhdr(x) -m sub \"\"", Some("abc"), "/", false),
    ("bin(414243) -m str ABC", None, "/", true),
    ("bin(414243) -m str 414243", None, "/", false),
    ("bin(41004243) -m str A", None, "/", true),
    ("bin(41004243) -m beg A", None, "/", true),
    ("bin(41004243) -m sub B", None, "/", false),
    ("bin(41004243) -m len 4", None, "/", false),
    ("bin(41004243) -m len 1", None, "/", true),
    ("bin(41004243) -m reg B", None, "/", false),
    ("bin(41004243) -m end C", None, "/", false),
    ("bin(41004243) -m bin 41004243", None, "/", true),
    ("bin(41004243) -m bin 4100", None, "/", false),
    ("int(65) -m str 65", None, "/", true),
    ("int(65) -m len 2", None, "/", true),
    ("int(65) -m bin 0000000000000041", None, "/", true),
    ("bool(1) -m str 1", None, "/", true),
    ("bool(1) -m str true", None, "/", false),
    ("always_true -m int 1", None, "/", true),
    ("int(5) -m bool", None, "/", true),
    ("int(0) -m bool", None, "/", false),
    ("str(0) -m bool", None, "/", false),
    ("str(1) -m bool", None, "/", true),
    ("str(x) -m bool", None, "/", false),
    ("src -m str 127.0.0.1", None, "/", true),
    ("int(2130706433) -m ip 127.0.0.1", None, "/", true),
    ("req.fhdr(x) -m ip 1.2.3.4", Some("1.2.3.4"), "/", true),
    ("req.fhdr(x) -m ip 1.2.3.4", Some(" 1.2.3.4 "), "/", true),
    ("req.fhdr(x) -m ip 1.2.3.4", Some("::ffff:1.2.3.4"), "/", true),
    ("req.fhdr(x) -m ip 1.2.3.4", Some("2002:102:304::"), "/", true),
    ("req.fhdr(x) -m ip 1.2.3.4", Some("::1.2.3.4"), "/", true),
    ("req.fhdr(x) -m ip ::ffff:1.2.3.4", Some("1.2.3.4"), "/", true),
    ("req.fhdr(x) -m ip ::1.2.3.4", Some("1.2.3.4"), "/", false),
    ("req.fhdr(x) -m ip ::/0", Some("1.2.3.4"), "/", true),
    ("req.fhdr(x) -m ip 0.0.0.0/0", Some("2001:db8::1"), "/", false),
    ("req.fhdr(x) -m ip 0.0.0.0/0", Some("::1"), "/", true),
    ("req.fhdr(x) -m ip 10.0.0.1/255.0.255.0", Some("10.9.0.7"), "/", true),
    ("req.fhdr(x) -m ip 10.0.0.1/255.0.255.0", Some("10.9.1.7"), "/", false),
    ("req.fhdr(x) -m ip 10.12/8", Some("10.1.1.1"), "/", true),
    ("req.fhdr(x) -m ip 192.168.1", Some("192.168.0.1"), "/", true),
    ("req.fhdr(x) -m ip 192.168.1/24", Some("192.168.0.99"), "/", true),
    ("req.fhdr(x) -m ip 192.168.1/24", Some("192.168.1.99"), "/", false),
    ("req.fhdr(x) -m ip 127.1", Some("127.0.0.1"), "/", true),
    ("req.fhdr(x) -m dir img", Some("/img/x"), "/", true),
    ("req.fhdr(x) -m dir img", Some("/a/img"), "/", true),
    ("req.fhdr(x) -m dir img", Some("img"), "/", true),
    ("req.fhdr(x) -m dir img", Some("/img?x"), "/", true),
    ("req.fhdr(x) -m dir img", Some("/a?img"), "/", true),
    ("req.fhdr(x) -m dir img", Some("/aimg/"), "/", false),
    ("req.fhdr(x) -m dir /img/", Some("/img/x"), "/", true),
    ("req.fhdr(x) -m dir /img/", Some("ximg/x"), "/", false),
    ("req.fhdr(x) -m dir img/png", Some("/img/png/"), "/", true),
    ("req.fhdr(x) -m dir //img", Some("/img"), "/", true),
    ("req.fhdr(x) -m dir img//png", Some("/img/png"), "/", false),
    ("req.fhdr(x) -m dir /", Some("/img"), "/", false),
    ("req.fhdr(x) -m dir ?", Some("/img"), "/", false),
    ("req.fhdr(x) -m dir /a?b", Some("/a?b"), "/", true),
    ("req.fhdr(x) -m dir img", Some("/img.x/"), "/", false),
    ("req.fhdr(x) -m dir .img.", Some("/.img./"), "/", true),
    ("req.fhdr(x) -m dom com", Some("www.example.com"), "/", true),
    ("req.fhdr(x) -m dom com", Some("www.example.com:80"), "/", true),
    ("req.fhdr(x) -m dom example", Some("www.example.com"), "/", true),
    ("req.fhdr(x) -m dom .example.", Some("www.example.com"), "/", true),
    ("req.fhdr(x) -m dom exam", Some("www.example.com"), "/", false),
    ("req.fhdr(x) -m dom www", Some("http://www.example.com/?x"), "/", true),
    ("req.fhdr(x) -m dom www.example", Some("http://www.example.com/?x"), "/", true),
    ("req.fhdr(x) -m dom ?www", Some("http://www.example.com/?x"), "/", true),
    ("req.fhdr(x) -m dom x", Some("http://www.example.com/?x"), "/", true),
    ("req.fhdr(x) -m dom .", Some("a.b"), "/", false),
    ("req.fhdr(x) -m dom www..example", Some("www..example"), "/", true),
    ("req.fhdr(x) -m dom a-b", Some("x.a-b.c"), "/", true),
    ("req.fhdr(x) -m dom b", Some("x.a-b.c"), "/", false),
    ("req.fhdr(x) -m dom -i COM", Some("www.example.com"), "/", true),
    ("req.fhdr(x) -m dir -i IMG", Some("/img/x"), "/", true),
    ("req.fhdr(x) -m beg -i IMG", Some("imgx"), "/", true),
    ("req.fhdr(x) -m end -i IMG", Some("ximg"), "/", true),
    ("req.fhdr(x) -m sub -i IMG", Some("ximgx"), "/", true),
    ("req.fhdr(x) -m str -i IMG", Some("Img"), "/", true),
    ("req.fhdr(x) -m reg -i I.G", Some("img"), "/", true),
    ("req.fhdr(x) -m bin -i 41", Some("a"), "/", false),
    ("req.fhdr(x) -m str abc", Some(""), "/", false),
    ("req.fhdr(x) -m found", Some(""), "/", true),
    ("req.fhdr(x) -m found", None, "/", false),
    ("req.fhdr(x) -m len 0", Some(""), "/", true),
    ("req.fhdr(x) -m sub a", Some(""), "/", false),
    ("req.fhdr(x) -m reg ^$", Some(""), "/", true),
    ("req.fhdr(x) -m bool", Some(""), "/", false),
    ("req.fhdr(x) -m str abc \"\" def", Some("def"), "/", false),
    ("req.fhdr(x) -m int 5", Some("5x"), "/", true),
    ("req.fhdr(x) -m int 5", Some(" 5"), "/", true),
    ("req.fhdr(x) -m int 0", Some("abc"), "/", true),
    ("req.fhdr(x) -m int -- -5", Some("-5"), "/", true),
    ("req.fhdr(x) -m int 5", Some("+5"), "/", true),
    ("req.fhdr(x) -m int 5", Some("05"), "/", true),
    ("req.fhdr(x) -m int 5", Some("5.5"), "/", true),
    ("req.fhdr(x) -m int 0", Some(""), "/", false),
    ("req.fhdr(x) -m int lt 5", Some("4"), "/", true),
    ("req.fhdr(x) -m int lt 5", Some("5"), "/", false),
    ("req.fhdr(x) -m int lt 5 gt 8", Some("9"), "/", true),
    ("req.fhdr(x) -m int lt 5 gt 8", Some("6"), "/", false),
    ("req.fhdr(x) -m int lt 5 3:9", Some("4"), "/", true),
    ("req.fhdr(x) -m int lt 5 3:9", Some("9"), "/", true),
    ("req.fhdr(x) -m int lt 5:9", Some("4"), "/", false),
    ("req.fhdr(x) -m int lt 5:9", Some("5"), "/", true),
    ("req.fhdr(x) -m int lt 5:9", Some("8"), "/", true),
    ("req.fhdr(x) -m int lt 5:9", Some("9"), "/", true),
    ("req.fhdr(x) -m int le 5:9", Some("4"), "/", false),
    ("req.fhdr(x) -m int le 5:9", Some("5"), "/", true),
    ("req.fhdr(x) -m int le 5:9", Some("9"), "/", true),
    ("req.fhdr(x) -m int le 5:9", Some("10"), "/", false),
    ("req.fhdr(x) -m int gt 5:9", Some("4"), "/", false),
    ("req.fhdr(x) -m int gt 5:9", Some("5"), "/", true),
    ("req.fhdr(x) -m int gt 5:9", Some("6"), "/", true),
    ("req.fhdr(x) -m int gt 5:9", Some("9"), "/", true),
    ("req.fhdr(x) -m int gt 5:9", Some("10"), "/", false),
    ("req.fhdr(x) -m int ge 5:9", Some("5"), "/", true),
    ("req.fhdr(x) -m int ge 5:9", Some("10"), "/", false),
    ("req.fhdr(x) -m int ge 5:9", Some("4"), "/", false),
    ("req.fhdr(x) -m int eq 5:9", Some("7"), "/", true),
    ("req.fhdr(x) -m int 5:", Some("5"), "/", true),
    ("req.fhdr(x) -m int :5", Some("-9"), "/", true),
    ("req.fhdr(x) -m int 5 lt", Some("5"), "/", true),
    ("req.fhdr(x) -m int lt", Some("5"), "/", false),
    ("req.fhdr(x) -m int eq le 5", Some("4"), "/", true),
    ("req.fhdr(x) -m int lt -5", Some("-9"), "/", true),
    ("req.fhdr(x) -m int lt 0", Some("-1"), "/", true),
    ("req.fhdr(x) -m int 9223372036854775807", Some("99999999999999999999"), "/", true),
    ("method GET", None, "/", true),
    ("method get", None, "/", false),
    ("method foo", None, "/", false),
    ("method GE", None, "/", false),
    ("method -m reg G.T", None, "/", true),
    ("method -m str GET", None, "/", true),
    ("method -m beg G", None, "/", true),
    ("method -m len 3", None, "/", true),
    ("method -i get", None, "/", false),
    ("req.ver 1.1", None, "/", true),
    ("req_ver 1.1", None, "/", true),
    ("req_ver 1.0 1.1", None, "/", true),
    ("req.ver -m reg ^1", None, "/", true),
    ("req.fhdr(x) -m str a\\ b", Some("a b"), "/", true),
    ("req.fhdr(x) -m str -- -i", Some("-i"), "/", true),
    ("req.fhdr(x) -m str a -i", Some("-i"), "/", true),
    ("req.fhdr(x) -m str a -i B", Some("b"), "/", false),
    ("req.fhdr(x) -m str -f {dir}/f1", Some("abc"), "/", true),
    ("req.fhdr(x) -m str -f {dir}/f1", Some("d ef"), "/", true),
    ("req.fhdr(x) -m str -f {dir}/f1", Some("d"), "/", false),
    ("req.fhdr(x) -m str -f {dir}/f1", Some("g"), "/", false),
    ("req.fhdr(x) -m str -f {dir}/f1", Some("#h"), "/", true),
    ("req.fhdr(x) -m str -f {dir}/f1", Some("i"), "/", true),
    ("req.fhdr(x) -m str -f {dir}/f1", Some("j#k"), "/", true),
    ("req.fhdr(x) -m str -f {dir}/f1", Some("l"), "/", true),
    ("req.fhdr(x) -m str -f {dir}/f1", Some("-i"), "/", true),
    ("req.fhdr(x) -m str -f {dir}/f1", Some("--"), "/", true),
    ("req.fhdr(x) -m str -f {dir}/f1", Some("g "), "/", false),
    ("req.fhdr(x) -m str -f {dir}/f1", Some(""), "/", false),
    ("req.fhdr(x) -m str -M -f {dir}/m1", Some("key"), "/", true),
    ("req.fhdr(x) -m str -M -f {dir}/m1", Some("lead"), "/", true),
    ("req.fhdr(x) -m str -M -f {dir}/m1", Some("value"), "/", false),
    ("req.fhdr(x) -m str -M -f {dir}/m1", Some("key5"), "/", true),
    ("req.fhdr(x) -m str -M -f {dir}/m1", Some("key4"), "/", true),
    ("req.fhdr(x) -m str -M -f {dir}/m1", Some("key5 a"), "/", false),
    ("req.fhdr(x) -m str -i -f {dir}/f1", Some("ABC"), "/", true),
    ("req.fhdr(x) -m str -f {dir}/f1 -i -f {dir}/f1 Zz", Some("ABC"), "/", true),
    ("req.fhdr(x) -m str -f {dir}/f1 -i -f {dir}/f1 Zz", Some("zz"), "/", true),
    ("req.fhdr(x) -m str -f {dir}/f1 -i -f {dir}/f1 Zz", Some("Zz"), "/", true),
    ("req.fhdr(x) -m int -- :-5", Some("-9"), "/", true),
    ("req.fhdr(x) -m int :-5", Some("-9"), "/", true),
    ("req.fhdr(x) -m int 0:", Some("-1"), "/", false),
    ("req.fhdr(x) -m int 1:1", Some("1"), "/", true),
    ("req.fhdr(x) -m int  5", Some("5"), "/", true),
    ("req.fhdr(x) -m int -- --5", Some("5"), "/", false),
    ("req.fhdr(x) -m int 5-7", Some("6"), "/", true),
    ("req.fhdr(x) -m int 5-", Some("6"), "/", true),
    ("req.fhdr(x) -m int -- -0", Some("0"), "/", true),
    ("req.ssl_ver 3.1", Some(""), "/", false),
    ("req.ssl_ver 3", Some(""), "/", false),
    ("req.ssl_ver 3.1:3.2", Some(""), "/", false),
    ("req.ssl_ver 3:", Some(""), "/", false),
    ("req.ssl_ver 3.1-3.2", Some(""), "/", false),
    ("req.fhdr(x) -m len 3", Some("abc"), "/", true),
    ("req.fhdr(x) -m len lt 3", Some("ab"), "/", true),
    ("req.fhdr(x) -m len 2:3", Some("abc"), "/", true),
    ("req.fhdr(x) -m len ge 4", Some("abcd"), "/", true),
    ("req.fhdr(x) -m ip 1", Some("0.0.0.1"), "/", true),
    ("req.fhdr(x) -m ip 1.2.3.4/0", Some("9.9.9.9"), "/", true),
    ("req.fhdr(x) -m ip 01.2.3.4", Some("1.2.3.4"), "/", true),
    ("req.fhdr(x) -m ip 10/8", Some("0.0.0.10"), "/", true),
    ("req.fhdr(x) -m ip 10/8", Some("10.0.0.0"), "/", false),
    ("req.fhdr(x) -m ip 1.2.3.4/255.0.0.0", Some("1.9.9.9"), "/", true),
    ("req.fhdr(x) -m ip ::ffff:1.2.3.4/120", Some("1.2.3.9"), "/", true),
    ("req.fhdr(x) -m ip 1.2.3.4/08", Some("1.9.9.9"), "/", true),
    ("req.fhdr(x) -m ip 1.2.3", Some("1.2.0.3"), "/", true),
    ("req.fhdr(x) -m ip 1.256", Some("1.0.0.0"), "/", false),
    ("req.fhdr(x) -m ip 1.2.3.4/+8", Some("1.9.9.9"), "/", true),
    ("method GET HEAD", None, "/", true),
    ("method GETX", None, "/", false),
    ("req.fhdr(x) -m int -- -5", Some("3"), "/", true),
    ("req.fhdr(x) -m int -- -5", Some("-9"), "/", true),
    ("req.fhdr(x) -m int -- -5", Some("9"), "/", false),
    ("req.fhdr(x) -m int -- --5", Some("-9"), "/", true),
    ("req.fhdr(x) -m int 5-", Some("9"), "/", true),
    ("req.fhdr(x) -m int 5-", Some("4"), "/", false),
    ("req.fhdr(x) -m int eq -5", Some("3"), "/", true),
    ("req.fhdr(x) -m int eq -5", Some("-5"), "/", true),
    ("req.fhdr(x) -m int ge -5", Some("-3"), "/", true),
    ("req.fhdr(x) -m int ge -5", Some("3"), "/", true),
    ("req.fhdr(x) -m int gt 3-5", Some("4"), "/", true),
    ("req.fhdr(x) -m int le -5", Some("-7"), "/", true),
    ("req.fhdr(x) -m int lt 5.2", Some("3"), "/", true),
    ("req.fhdr(x) -m dir \"\"", Some("a"), "/", false),
    ("method -i GET", None, "/", true),
    ("method -m str get", None, "/", false),
    ("method -m str -i get", None, "/", true),
    ("method,lower get", None, "/", true),
    ("method,lower -m str get", None, "/", true),
    ("str(1.2.3.4) -m ip 1.2.3.4", None, "/", true),
    ("path_len 5", Some(""), "/abcd", true),
    ("path_len lt 5", Some(""), "/abcd", false),
    ("hdr_len(x) 3", Some("abc"), "/", true),
    ("hdr_cnt(x) 2", Some("a,b"), "/", true),
    ("hdr_val(x) gt 3", Some("1,5"), "/", true),
    ("hdr_ip(x) 10.0.0.0/8", Some("1.1.1.1,10.2.3.4"), "/", true),
    ("hdr(x) b", Some("a, b"), "/", true),
    ("hdr_reg(x) ^b$", Some("a, b"), "/", true),
    ("hdr_beg(x) -i B", Some("a, bc"), "/", true),
    ("hdr_cnt(x) gt 1", Some("a"), "/", false),
    ("cook(a) b", Some(""), "/", false),
    ("urlp(a) b", Some(""), "/?a=b", true),
    ("urlp_reg(a) ^b", Some(""), "/?a=bc", true),
    ("url_param(a) b", Some(""), "/?a=b", true),
    ("hdr_sub(x),lower abc", Some("xABCx"), "/", false),
    ("hdr_beg(x),lower abc", Some("ABC"), "/", true),
    ("src 127.0.0.0/8", None, "/", true),
    ("src ::1 127.0.0.1", None, "/", true),
    ("dst_port 1:65535", None, "/", true),
    ("src_port gt 1024", None, "/", true),
    ("always_true", None, "/", true),
    ("always_true 0", None, "/", true),
    ("always_true false", None, "/", true),
    ("bool(false) true", None, "/", false),
    ("wait_end", None, "/", true),
    ("hdr_dom(x) -i EXAMPLE", Some("www.example.com"), "/", true),
    ("hdr_dir(x) b", Some("a/b/c"), "/", true),
    ("hdr_end(x) .com .org", Some("a.org"), "/", true),
    ("hdr_end(x) .com .org", Some("a.orgx"), "/", false),
    ("path_beg /a /b", Some(""), "/bcd", true),
    ("path_beg /a /b", Some(""), "/cbd", false),
    ("path_end .gif .png", Some(""), "/x.png?a=.gif", true),
    ("path_sub cd", Some(""), "/bcde", true),
    ("path_dir b", Some(""), "/a/b/c", true),
    ("path_reg ^/[a-c]+$", Some(""), "/abc", true),
    ("path_reg ^/[a-c]+$", Some(""), "/abd", false),
    ("url_beg /a?", Some(""), "/a?b", true),
    ("url_end =1", Some(""), "/a?b=1", true),
    ("url_sub ?b", Some(""), "/a?b=1", true),
    ("url_reg b=\\d$", Some(""), "/a?b=1", true),
    ("url_len 6", Some(""), "/a?b=1", true),
    ("urlp_beg(a) x", Some(""), "/?a=xy", true),
    ("urlp_len(a) 2", Some(""), "/?a=xy", true),
    ("urlp_dom(a) c", Some(""), "/?a=b.c", true),
    ("base_beg h/a", Some(""), "/abc", true),
    ("base_end /abc", Some(""), "/abc", true),
    ("base_dom h", Some(""), "/abc", true),
    ("base h/abc", Some(""), "/abc", true),
    ("base_sub /a", Some(""), "/abc", true),
    ("base_reg ^h/", Some(""), "/abc", true),
    ("base_len 5", Some(""), "/abc", true),
    ("path,lower -m str /abc", Some(""), "/ABC", true),
    ("path,upper /ABC", Some(""), "/abc", true),
    ("path,length 4", Some(""), "/abc", true),
    ("path,length gt 4", Some(""), "/abc", false),
    ("req.fhdr(x) -m beg abc ab abcd", Some("abx"), "/", true),
    ("req.fhdr(x) -m beg a b c d e f", Some("fx"), "/", true),
    ("req.fhdr(x) -m end a b c d e f", Some("xf"), "/", true),
    ("req.fhdr(x) -m sub aa bb cc dd ee ff", Some("xffx"), "/", true),
    ("req.fhdr(x) -m str a b c d e f", Some("f"), "/", true),
    ("req.fhdr(x) -m str -i A B C D E F", Some("f"), "/", true),
    ("req.fhdr(x) -m dom a b c d e f", Some("x.f.y"), "/", true),
    ("req.fhdr(x) -m dir a b c d e f", Some("x/f/y"), "/", true),
    ("req.fhdr(x) -m int 1 3 5 7 9 11", Some("9"), "/", true),
    ("req.fhdr(x) -m int 1 3 5 7 9 11", Some("10"), "/", false),
    ("req.fhdr(x) -m len 1 3 5 7 9 11", Some("abcde"), "/", true),
    ("req.fhdr(x) -m reg ^a ^b ^c ^d ^e", Some("ex"), "/", true),
    ("req.fhdr(x) -m ip 1.1.1.1 2.2.2.0/24 3.0.0.0/8 4.4.4.4 ::1 2001:db8::/32", Some("2001:db8::5"), "/", true),
    ("req.fhdr(x) -m ip 1.1.1.1 2.2.2.0/24 3.0.0.0/8 4.4.4.4 ::1 2001:db8::/32", Some("2.2.2.9"), "/", true),
    ("req.fhdr(x) -m ip 1.1.1.1 2.2.2.0/24 3.0.0.0/8 4.4.4.4 ::1 2001:db8::/32", Some("::ffff:3.1.2.3"), "/", true),
    ("req.fhdr(x) -m bin 61 62 63 64 65 66", Some("f"), "/", true),
    ("req.fhdr(x) -m beg -i A B C D E F", Some("fX"), "/", true),
    ("req.fhdr(x) -m end -i A B C D E F", Some("xf"), "/", true),
    ("req.fhdr(x) -m sub -i A B C D E F", Some("xfx"), "/", true),
    ("hdr(x),map({dir}/m1) -m str value", Some("key"), "/", true),
    ("hdr(x),map({dir}/m1) -m found", Some("nokey"), "/", false),
    ("hdr(x),map({dir}/m1,dd) dd", Some("nokey"), "/", true),
    ("hdr(host) h", None, "/", true),
    ("hdr(Host) -i H", None, "/", true),
    ("hdr_cnt(host) 1", None, "/", true),
    ("hdr_cnt(none) 0", None, "/", true),
    ("hdr(none) -m found", None, "/", false),
    ("req.hdr_names -m found", None, "/", true),
    ("src_port lt 1024", None, "/", false),
    ("dst 127.0.0.1", None, "/", true),
    ("dst ::1", None, "/", false),
    ("be_name -m found", None, "/", true),
    ("fe_name f", None, "/", true),
    ("fe_conn ge 1", None, "/", true),
];

/// Conditions over the ACLs `t` (true), `f` (false) and `both` (two lines, one of which is true), and whether a rule with them acts.
const CONDITIONS: &[(&str, bool)] = &[
    ("if t", true),
    ("if f", false),
    ("if !t", false),
    ("if ! t", false),
    ("if !!t", true),
    ("if ! ! t", true),
    ("if !!!t", false),
    ("unless t", false),
    ("unless f", true),
    ("unless !t", true),
    ("if t t", true),
    ("if t f", false),
    ("if f t", false),
    ("if f or t", true),
    ("if t or f", true),
    ("if f || f", false),
    ("if f || t f", false),
    ("if f t or t t", true),
    ("if f t or !f", true),
    ("if t !f", true),
    ("if !f !f", true),
    ("if t or", true),
    ("if or t", true),
    ("if t or or f", true),
    ("if f or", false),
    ("if", false),
    ("unless", true),
    ("if !", false),
    ("if t !", true),
    ("if f !", false),
    ("unless !", true),
    ("if !or t", true),
    ("if ! or f", false),
    ("if { path /c }", true),
    ("if !{ path /c }", false),
    ("if ! { path /x }", true),
    ("if { path /x } or t", true),
    ("if { path /x } || { path /c }", true),
    ("if { path /c } { hdr(host) h }", true),
    ("if t { path /c } !f", true),
    ("if both", true),
    ("if !both", false),
    ("unless both f", true),
    ("if both f or t", true),
    ("if TRUE", true),
    ("if FALSE", false),
    ("if !FALSE TRUE", true),
    ("if METH_GET", true),
    ("if METH_POST", false),
    ("if HTTP", true),
    ("if HTTP_1.1", true),
    ("if HTTP_1.0", false),
    ("if HTTP_2.0", false),
    ("if HTTP_URL_SLASH", true),
    ("if HTTP_URL_ABS", false),
    ("if HTTP_URL_STAR", false),
    ("if HTTP_CONTENT", false),
    ("if LOCALHOST", true),
    ("if REQ_CONTENT", true),
    ("if WAIT_END", true),
    ("if METH_HEAD", false),
    ("if METH_OPTIONS", false),
    ("if METH_PUT", false),
    ("if METH_DELETE", false),
    ("if METH_TRACE", false),
    ("if METH_CONNECT", false),
    ("if RDP_COOKIE", false),
    ("if { always_true }", true),
    ("if { always_false }", false),
    ("if { bool(1) 0 }", true),
    ("if { int(0) }", false),
    ("if { int(5) -m bool }", true),
    ("if { int(0) -m bool }", false),
    ("if { str(x) -m found y }", true),
    ("if { path -- }", false),
    ("if { path -m found -- }", true),
    ("if t or f f f or f", true),
    ("if f f f or f f t or t t t", true),
    ("if t { path -i /C }", true),
    ("if { path_beg /c } { path_end c }", true),
];

/// What is refused, and why.
const REFUSED: &[(&str, &str)] = &[
    ("req.fhdr(x) -m int gt 9223372036854775807", "'-9223372036854775808:' is not a valid number range."),
    ("req.fhdr(x) -m int lt -9223372036854775808", "'-9223372036854775808' is not a valid number range."),
    ("req.fhdr(x) -m int -- -5:", "'-5:' is not a valid number range."),
    ("req.fhdr(x) -m int -- -5:3", "'-5:3' is not a valid number range."),
    ("req.fhdr(x) -m int 3:-5", "'3:-5' is not a valid number range."),
    ("req.fhdr(x) -m int 5:5x", "'5:5x' is not a valid number range."),
    ("req.fhdr(x) -m int x:5", "'x:5' is not a valid number range."),
    ("req.fhdr(x) -m int 5x", "'5x' is not a number."),
    ("req.fhdr(x) -m int -- -", "'-' is not a valid number range."),
    ("req.fhdr(x) -m int -- -7--5", "'-7--5' is not a valid number range."),
    ("req.fhdr(x) -m int -- -7-", "'-7-' is not a valid number range."),
    ("req.fhdr(x) -m int 1-2:3", "'1-2:3' is not a valid number range."),
    ("req.ssl_ver 3.1:3", "'3.1:3' is not a valid dotted number range."),
    ("req.ssl_ver 65536", "'65536' is not a dotted number."),
    ("req.ssl_ver 3.65536", "'3.65536' is not a dotted number."),
    ("req.ssl_ver 3.1.1", "'3.1.1' is not a dotted number."),
    ("req.ssl_ver x", "'x' is not a dotted number."),
    ("req.ssl_ver -1", "'-1' is not a valid ACL option. Please use '--' before any pattern beginning with a '-'."),
    ("req.ssl_ver 3.", "'3.' is not a dotted number."),
    ("req.ssl_ver .3", "'.3' is not a dotted number."),
    ("req.ssl_ver :", "':' is not a valid dotted number range."),
    ("req.fhdr(x) -m len -- -1:3", "'-1:3' is not a valid number range."),
    ("req.fhdr(x) -m ip 1.2.3.4.5", "'1.2.3.4.5' is not a valid IPv4 or IPv6 address."),
    ("req.fhdr(x) -m ip 1.2.3.4/", "'1.2.3.4/' is not a valid IPv4 or IPv6 address."),
    ("req.fhdr(x) -m ip /8", "'/8' is not a valid IPv4 or IPv6 address."),
    ("req.fhdr(x) -m ip 1..4", "'1..4' is not a valid IPv4 or IPv6 address."),
    ("req.fhdr(x) -m ip 256.1", "'256.1' is not a valid IPv4 or IPv6 address."),
    ("req.fhdr(x) -m ip 1.2.3.4/-1", "'1.2.3.4/-1' is not a valid IPv4 or IPv6 address."),
    ("req.fhdr(x) -m ip 1.2.3.4/24x", "'1.2.3.4/24x' is not a valid IPv4 or IPv6 address."),
    ("req.fhdr(x) -m ip ::1/", "'::1/' is not a valid IPv4 or IPv6 address."),
    ("req.fhdr(x) -m ip ::1/64/", "'::1/64/' is not a valid IPv4 or IPv6 address."),
    ("req.fhdr(x) -m ip 1.2.3.4/255.255.255", "'1.2.3.4/255.255.255' is not a valid IPv4 or IPv6 address."),
    ("req.fhdr(x) -m ip ::/ffff::", "'::/ffff::' is not a valid IPv4 or IPv6 address."),
    ("req.fhdr(x) -m ip [::1]", "'[::1]' is not a valid IPv4 or IPv6 address."),
    ("req.fhdr(x) -m ip 1.2.3.", "'1.2.3.' is not a valid IPv4 or IPv6 address."),
    ("req.fhdr(x) -m ip 1.2.3.4/ 8", "'1.2.3.4/' is not a valid IPv4 or IPv6 address."),
    ("req.fhdr(x) -m int lt 5x", "'5x' is neither a number nor a supported operator."),
    ("req.fhdr(x) -m int gt x", "'x' is neither a number nor a supported operator."),
    ("req.fhdr(x) -m int lt +5", "'+5' is neither a number nor a supported operator."),
    ("req.fhdr(x) -m int lt 0x5", "'0x5' is neither a number nor a supported operator."),
    ("req.fhdr(x) -m int 5:7:9", "'5:7:9' is not a valid number range."),
    ("req.fhdr(x) -m int ge 18446744073709551615", "'18446744073709551615' is neither a number nor a supported operator."),
    ("HTTP_1.1", "unknown fetch method 'HTTP_1.1' in ACL expression 'HTTP_1.1'."),
];

/// Both tables as one proxy: a request says by the field `n` which line it asks.
fn config() -> String {
    let mut text = String::from(
        "defaults\n mode http\n timeout connect 5s\n timeout client 10s\n timeout server 10s\nfrontend f\n bind 127.0.0.1:{fe}\n \
         acl t path /c\n acl f path /x\n acl both path /x\n acl both path /c\n",
    );
    let answer = "http-request return status 200 content-type text/plain string";
    for (n, (acl, ..)) in CASES.iter().enumerate() {
        let _ = writeln!(text, " acl a{n} {acl}\n {answer} yes if {{ req.hdr(n) {n} }} a{n}");
    }
    for (n, (condition, _)) in CONDITIONS.iter().enumerate() {
        let _ = writeln!(text, " http-request set-header y yes {condition}");
        let _ = writeln!(text, " {answer} yes if {{ req.hdr(n) c{n} }} {{ req.hdr(y) yes }}\n http-request del-header y");
    }
    text + &format!(" {answer} no\n")
}

const FILES: [(&str, &[u8]); 2] = [
    ("f1", b"# c\n\n  abc\nd ef\ng \t\n #h\ni\r\nj#k\n\tl\n-i\n--\n"),
    ("m1", b"# comment\n\nkey value\n  lead lv\nkey2   v2  \nkey3\tv3\t \nkey4\nkey5 a b  c \n #hash h\nkey6 v6\r\nkey second\n\tt1 tv\n"),
];

/// Sends all requests; gives what differs from the tables.
fn differences(addr: SocketAddr) -> Vec<String> {
    let mut connection = io(Connection::open(addr));
    let mut odd = Vec::new();
    let mut ask = |n: &str, target: &str, x: Option<&str>, name: &str, expected: bool| {
        let x = x.map(|x| format!("x: {x}\r\n")).unwrap_or_default();
        let response = io(connection.exchange(format!("GET {target} HTTP/1.1\r\nhost: h\r\nn: {n}\r\n{x}\r\n")));
        let answer = String::from_utf8_lossy(&response.body).into_owned();
        if answer != if expected { "yes" } else { "no" } {
            odd.push(format!("{name} {x:?} {target}: {} {answer}", response.status));
        }
    };
    for (n, (acl, x, target, expected)) in CASES.iter().enumerate() {
        ask(&n.to_string(), target, *x, acl, *expected);
    }
    for (n, (condition, expected)) in CONDITIONS.iter().enumerate() {
        ask(&format!("c{n}"), "/c", None, condition, *expected);
    }
    odd
}

#[test]
fn on_traffic() {
    let files = io(TempDir::new("acls"));
    for (name, content) in FILES {
        io(files.write(name, content));
    }
    let text = config().replace("{dir}", &files.path().display().to_string());
    let lb = start(&text, &[]);
    let odd = differences(lb.addr());
    assert!(odd.is_empty(), "{} differ:\n{}", odd.len(), odd.join("\n"));
    if !Path::new(HAPROXY).exists() {
        return;
    }
    for _ in 0..5 {
        let port = ports::free_tcp();
        let text = fill(&text, &[("fe".to_owned(), port.to_string())]);
        match Process::proxy(io(TempDir::new("acls-haproxy")), Path::new(HAPROXY), &text, &[port]) {
            Ok(_haproxy) => {
                let odd = differences(([127, 0, 0, 1], port).into());
                assert!(odd.is_empty(), "haproxy, {}:\n{}", odd.len(), odd.join("\n"));
                return;
            }
            Err(e) if e.is_port_clash() => {}
            Err(e) => panic!("{e}"),
        }
    }
    panic!("no free port in five tries");
}

#[test]
fn refused() {
    let dir = io(TempDir::new("acls-refused"));
    let mut text = String::from("frontend f\n mode http\n bind 127.0.0.1:1\n");
    for (acl, _) in REFUSED {
        let _ = writeln!(text, " acl a {acl}");
    }
    let file = io(dir.write("lb.cfg", &text));
    let (_, out, err) = io(run(&program(), &["-c", "-f", &file.display().to_string()]));
    let said = out + &err;
    for (n, (acl, message)) in (4..).zip(REFUSED) {
        let message = message.trim_end_matches('.');
        let told = said.lines().any(|line| line.contains(&format!("lb.cfg:{n}]")) && line.contains(message));
        assert!(told, "line {n}, {acl}: {message}\n{said}");
    }
}
