//! Diagnostics as text: in short, and in haproxy's own form for those who watch for it. Both show the line of the file with
//! the place marked, and what to write instead.

use crate::diag::Diagnostic;
use std::fmt::Write as _;

/// For each a line with severity and place, the line of the file, and the cure.
///
/// ```text
/// [ALERT]   haproxy.cfg:12:5: unknown keyword 'balanc' in section 'backend'
///    |  balanc roundrobin
///    |  ^^^^^^
///    = did you mean 'balance'?
/// ```
pub fn render(diagnostics: &[Diagnostic]) -> String {
    let mut out = String::new();
    for diagnostic in diagnostics {
        let label = format!("[{}]", diagnostic.severity.label());
        let _ = write!(out, "{label:<9} ");
        if diagnostic.span.is_none() {
            out.push_str("config");
        } else {
            let _ = write!(out, "{}:{}", diagnostic.file, diagnostic.span.line);
            if diagnostic.span.column > 0 {
                let _ = write!(out, ":{}", diagnostic.span.column);
            }
        }
        let _ = writeln!(out, ": {}", diagnostic.message);
        below(&mut out, diagnostic);
    }
    out
}

/// The same with the head line that haproxy writes; `process` is the number that stands in it.
///
/// ```text
/// [ALERT]    (4711) : config : parsing [haproxy.cfg:12] : unknown keyword 'balanc' in section 'backend'
///    |  balanc roundrobin
///    |  ^^^^^^
///    = did you mean 'balance'?
/// ```
pub fn report(diagnostics: &[Diagnostic], process: u32) -> String {
    let mut out = String::new();
    for diagnostic in diagnostics {
        let label = format!("[{}]", diagnostic.severity.label());
        let _ = write!(out, "{label:<10} ({process}) : config : ");
        if !diagnostic.span.is_none() {
            let _ = write!(out, "parsing [{}:{}] : ", diagnostic.file, diagnostic.span.line);
        }
        let _ = writeln!(out, "{}", diagnostic.message);
        below(&mut out, diagnostic);
    }
    out
}

/// What stands below the head line.
fn below(out: &mut String, diagnostic: &Diagnostic) {
    let indent = diagnostic.excerpt.chars().take_while(|c| *c == ' ').count();
    let trimmed = diagnostic.excerpt.trim_end();
    if trimmed.len() > indent {
        let _ = writeln!(out, "   |  {}", &trimmed[indent..]);
        if let Some((from, width)) = diagnostic.marker {
            let _ = writeln!(out, "   |  {}{}", " ".repeat(from.saturating_sub(indent)), "^".repeat(width));
        }
    }
    for line in diagnostic.help.iter().flat_map(|help| help.lines()) {
        let _ = writeln!(out, "   = {line}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::{Diagnostics, Severity};
    use crate::model::Span;

    fn list() -> Vec<Diagnostic> {
        let mut list = Diagnostics::default();
        let span = Span { file: 0, line: 2, column: 5 };
        list.push(Severity::Error, span, 6, "unknown keyword 'balanc'", Some("did you mean 'balance'?".into()));
        list.push(Severity::Warning, Span::default(), 0, "nothing listens", None);
        list.finish(&[("x.cfg".into(), b"backend b\n    balanc roundrobin\r\n")])
    }

    const BELOW: &str = "   |  balanc roundrobin\n   |  ^^^^^^\n   = did you mean 'balance'?\n";

    #[test]
    fn in_short() {
        let text = render(&list());
        assert_eq!(text, format!("[ALERT]   x.cfg:2:5: unknown keyword 'balanc'\n{BELOW}[WARNING] config: nothing listens\n"));
    }

    #[test]
    fn as_haproxy_writes_it() {
        let text = report(&list(), 42);
        let head = "[ALERT]    (42) : config : parsing [x.cfg:2] : unknown keyword 'balanc'\n";
        assert_eq!(text, format!("{head}{BELOW}[WARNING]  (42) : config : nothing listens\n"));
    }
}
